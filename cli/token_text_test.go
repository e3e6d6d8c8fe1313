package cli_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/playgate/playgate/cli"
	"github.com/playgate/playgate/keystore/keystoretest"
)

// TestTokensAreTakenAsTheyAreCopied: what surrounds a token in a terminal, a
// header, a log or a source file is no part of it.
func TestTokensAreTakenAsTheyAreCopied(t *testing.T) {
	t.Parallel()
	run := folder(t, keyFiles(map[string]string{"K1.pem": string(keystoretest.PEM(t, 1))}))
	status, token, errs := run(sign()...)
	if status != 0 {
		t.Fatalf("status %d, %s", status, errs)
	}
	token = strings.TrimSpace(token)
	for _, copied := range []string{
		token, " " + token, token + "\n", "\r\n\t" + token + " \r\n", "\u00a0" + token, "\ufeff" + token + "\u200b",
		`"` + token + `"`, "'" + token + "'", "`" + token + "`", "“" + token + "”", ` " ` + token + ` " `,
		"Bearer " + token, "bearer\t" + token, "BEARER  " + token + "\n", `"Bearer ` + token + `"`, `Bearer "` + token + `"`,
		"Authorization: Bearer " + token, `"authorization:Bearer ` + token + "\n" + `"`,
	} {
		if status, out, errs := run("token", "verify", copied, "--config", "@config.yaml"); status != 0 || !strings.HasPrefix(out, "valid, ") {
			t.Errorf("verify %q: status %d, %s%s", copied, status, out, errs)
		}
		if status, out, errs := run("token", "inspect", copied); status != 0 || !strings.Contains(out, "P1") {
			t.Errorf("inspect %q: status %d, %s%s", copied, status, out, errs)
		}
	}
}

// TestTokensThatAreNoneAreRefusedWithTheReason: exactly what is wrong, and
// nothing of the token itself.
func TestTokensThatAreNoneAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	encode := base64.RawURLEncoding.EncodeToString
	header, payload, signature := encode([]byte(`{"alg":"RS256"}`)), encode([]byte(`{"sub":"P1"}`)), encode(make([]byte, 256))
	token := func(parts ...string) string { return strings.Join(parts, ".") }
	for _, c := range []struct {
		token, want string
		status      int
	}{
		{"", "the token is empty", 2},
		{` "" `, "the token is empty", 2},
		{"Bearer ", "the token is empty", 2},
		{"https://stream.mux.com/P1.m3u8?token=" + token(header, payload, signature), "this is a URL; give the value of its parameter token alone", 2},
		{header, "the token has 1 part, want 3 with dots between them", 1},
		{token(header, "a", "b", "c", "d"), "it is encrypted (JWE)", 1},
		{"Bearer Bearer " + token(header, payload, signature), "the header is not base64url: it has a blank at its character 7; remove it", 1},
		{token(header, payload[:5]+"\n"+payload[5:], signature), "the payload is not base64url: it has a line end at its character 6; give the token as one line", 1},
		{token(header, payload, signature[:9]+" "+signature[9:]), "the signature is not base64url: it has a blank at its character 10; remove it", 1},
		{token(header, payload, signature) + `"`, "the signature is not base64url: it has '\"' at its character 343, which no token has", 1},
		{token(header, payload, signature) + "==", "the signature is not base64url: it has padding (=) at its character 343; remove it", 1},
		{token(header, "a+b/", signature), "the payload is not base64url: it has '+' at its character 2, which is of the standard alphabet", 1},
		{token(header, payload, signature[:5]), "the signature is not base64url: none is 5 characters long; a part of the token is missing", 1},
		{token(header, payload, "AB"), "the signature is not base64url: its last character cannot end it; the token was changed or cut off", 1},
	} {
		var out, errs strings.Builder
		status := cli.Run(&cli.Process{Args: []string{"token", "inspect", c.token}, Stdout: &out, Stderr: &errs})
		if status != c.status || out.Len() > 0 || !strings.Contains(errs.String(), c.want) || strings.Contains(errs.String(), payload) {
			t.Errorf("%q: status %d, %s%s, want %d and %s", c.token, status, out.String(), errs.String(), c.status, c.want)
		}
	}
}
