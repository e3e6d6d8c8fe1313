package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/playback"
)

const (
	invalid = playback.CodeInvalidCredentials
	expired = playback.CodeExpiredCredentials
)

// payload is what a good token says at noon.
func payload(t testing.TB, changes map[string]any) string {
	t.Helper()
	all := claims(map[string]any{"iss": issuerURL, "exp": noon().Unix() + 3600})
	maps.Copy(all, changes)
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func TestGoodTokensAreAcceptedInEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, algorithm := range identity.Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			p := provider(t, noon, algorithm)
			v := atNoon(t, p)
			id, err := verify(v, sign(t, p, map[string]any{"plan": "premium"}), prod)
			if err != nil {
				t.Fatal(err)
			}
			if !id.Viewer.Authenticated || id.Viewer.ID != "u1" || id.Viewer.Issuer != "main" ||
				id.Viewer.Claims["plan"] != "premium" || id.Environment != prod {
				t.Errorf("identity = %+v, viewer %+v", id, id.Viewer)
			}
		})
	}
}

// TestForgedHeadersAreRefused: each is signed with the issuer's real key, so
// only the header is wrong.
func TestForgedHeadersAreRefused(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "ES256")
	v := atNoon(t, p)
	kid := p.KeyIDs()[0]
	jwk := `{"kty":"EC","crv":"P-256","x":"` + encode(make([]byte, 32)) + `","y":"` + encode(make([]byte, 32)) + `"}`
	refuse := func(header string) [2]string { return [2]string{header, string(invalid)} }
	accept := func(header string) [2]string { return [2]string{header, ""} }
	for _, c := range [][2]string{
		accept(`{"alg":"ES256","kid":"` + kid + `"}`),
		accept(`{"alg":"ES256"}`),
		accept(`{"typ":"at+jwt","alg":"ES256","kid":"` + kid + `"}`),
		accept(`{"typ":"JWT","alg":"ES256","kid":"` + kid + `","x5t":"abc","unknown":{"a":[1]}}`),
		accept(` { "alg" : "ES256" } `),
		accept(`{"\u0061lg":"ES256"}`),
		refuse(`{"alg":"ES256","jku":"https://evil.example/jwks.json"}`),
		refuse(`{"alg":"ES256","x5u":"https://evil.example/cert.pem"}`),
		refuse(`{"alg":"ES256","jwk":` + jwk + `}`),
		refuse(`{"alg":"ES256","x5c":["MIIB"]}`),
		refuse(`{"alg":"ES256","crit":["exp"]}`),
		refuse(`{"alg":"ES256","crit":[]}`),
		refuse(`{"alg":"ES256","crit":["b64"],"b64":false}`),
		refuse(`{"alg":"ES256","jku":null}`),
		refuse(`{"alg":"ES256","\u006aku":"https://evil.example/"}`),
		refuse(`{"alg":"none"}`),
		refuse(`{"alg":"None"}`),
		refuse(`{"alg":""}`),
		refuse(`{"alg":null}`),
		refuse(`{"alg":["ES256"]}`),
		refuse(`{}`),
		refuse(`{"kid":"` + kid + `"}`),
		refuse(`{"ALG":"ES256"}`),
		refuse(`{"alg":"es256"}`),
		refuse(`{"alg":"ES256 "}`),
		refuse(`{"alg":"ES384"}`), // pinned, but the key is on P-256
		refuse(`{"alg":"ES512"}`),
		refuse(`{"alg":"RS256"}`), // pinned, but no key of the type
		refuse(`{"alg":"EdDSA"}`),
		refuse(`{"alg":"ES256K"}`),
		refuse(`{"alg":"HS256"}`),
		refuse(`{"alg":"ES256","alg":"ES256"}`),
		refuse(`{"alg":"none","alg":"ES256"}`),
		refuse(`{"alg":"ES256","\u0061lg":"none"}`),
		refuse(`{"alg":"ES256","kid":"` + kid + `","kid":"other"}`),
		refuse(`{"alg":"ES256","unknown":{"a":1,"a":2}}`),
		refuse(`{"alg":"ES256","kid":7}`),
		refuse(`{"alg":"ES256","kid":null}`),
		refuse(`{"alg":"ES256","typ":7}`),
		refuse(`{"alg":"ES256","kid":"other"}`),
		refuse(`{"alg":"ES256","kid":"` + kid + `\u0000"}`),
		refuse(`{"alg":"ES256"}{}`),
		refuse(`{"alg":"ES256",}`),
		refuse("\ufeff" + `{"alg":"ES256"}`),
		refuse(`{"alg":"ES256","x":"` + "\xff" + `"}`),
		refuse(`{"alg":"ES256","x":1e400}`),
		refuse(`{"alg":"ES256","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`),
		refuse(`["alg","ES256"]`),
		refuse(`"ES256"`),
		refuse(`null`),
		refuse(``),
	} {
		id, err := verify(v, compact(t, p, c[0], payload(t, nil)), prod)
		if got := codeOf(t, err); string(got) != c[1] || (id == nil) != (c[1] != "") {
			t.Errorf("header %s: %q (%v), want %q", c[0], got, err, c[1])
		}
	}
}

// TestPublicKeyIsNoHMACSecret signs HS256 with every spelling of the public
// key that a verifier could mistake for a secret (RFC 8725 §2.1).
func TestPublicKeyIsNoHMACSecret(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := provider(t, noon)
	p.Adopt("k", "RS256", private)
	v := atNoon(t, p)
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	set, err := p.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{
		der, x509.MarshalPKCS1PublicKey(&private.PublicKey), set, private.N.Bytes(), []byte(encode(private.N.Bytes())),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
	}
	for _, algorithm := range []string{"HS256", "hs256", "RS256"} {
		for n, secret := range secrets {
			input := encode([]byte(`{"alg":"`+algorithm+`","kid":"k"}`)) + "." + encode([]byte(payload(t, nil)))
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(input))
			wantCode(t, v, input+"."+encode(mac.Sum(nil)), invalid)
			if t.Failed() {
				t.Fatalf("%s with secret %d was accepted", algorithm, n)
			}
		}
	}
}

// TestEmbeddedKeyIsNotTrusted signs with the attacker's own key, shown in the
// header.
func TestEmbeddedKeyIsNotTrusted(t *testing.T) {
	t.Parallel()
	p, evil := provider(t, noon), provider(t, noon)
	v := atNoon(t, p)
	set, err := evil.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var keys struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(set, &keys); err != nil {
		t.Fatal(err)
	}
	wantCode(t, v, compact(t, evil, `{"alg":"ES256","jwk":`+string(keys.Keys[0])+`}`, payload(t, nil)), invalid)
	wantCode(t, v, compact(t, evil, `{"alg":"ES256","kid":"`+p.KeyIDs()[0]+`"}`, payload(t, nil)), invalid)
	wantCode(t, v, compact(t, evil, `{"alg":"ES256"}`, payload(t, nil)), invalid)
}

// TestAlgorithmMustBePinned: the key would verify, the issuer does not allow
// the algorithm.
func TestAlgorithmMustBePinned(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "ES256", "EdDSA")
	issuer := trust(prod)
	issuer.Algorithms = []string{"EdDSA"}
	v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: p}}, issuer)
	for n, want := range []playback.Code{invalid, ""} {
		raw, err := p.TokenWith(p.KeyIDs()[n], claims(nil))
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, v, raw, want)
	}
}

func TestTruncatedTokensAreRefused(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256"} {
		p := provider(t, noon, algorithm)
		v := atNoon(t, p)
		raw := sign(t, p, nil)
		for n := range len(raw) {
			if id, err := verify(v, raw[:n], prod); codeOf(t, err) != invalid || id != nil {
				t.Fatalf("%s: the first %d of %d bytes: %v, want %s", algorithm, n, len(raw), err, invalid)
			}
			if id, err := verify(v, raw[n+1:], prod); codeOf(t, err) != invalid || id != nil {
				t.Fatalf("%s: without the first %d bytes: %v, want %s", algorithm, n+1, err, invalid)
			}
		}
		wantCode(t, v, raw, "")
	}
}

// TestEveryBitCounts flips each bit of a token. A token has one spelling: even
// the bits of a last character that encode nothing count.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256"} {
		p := provider(t, noon, algorithm)
		v := atNoon(t, p)
		raw := sign(t, p, nil)
		wantCode(t, v, raw, "") // it is remembered from here on
		for n := range len(raw) {
			for bit := range 8 {
				flipped := []byte(raw)
				flipped[n] ^= 1 << bit
				if id, ok := v.Remembered(string(flipped), "", time.Time{}); ok {
					t.Fatalf("%s: remembered with bit %d of byte %d flipped: %v", algorithm, bit, n, id)
				}
				if id, err := verify(v, string(flipped), prod); codeOf(t, err) != invalid || id != nil {
					t.Fatalf("%s: bit %d of byte %d flipped: %v, want %s", algorithm, bit, n, err, invalid)
				}
			}
		}
	}
}

// TestOtherSpellingsOfATokenAreRefused: strict base64url, three parts.
func TestOtherSpellingsOfATokenAreRefused(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "ES256")
	v := atNoon(t, p)
	raw := sign(t, p, nil)
	parts := strings.Split(raw, ".")
	join := func(parts ...string) string { return strings.Join(parts, ".") }
	pad := func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) }
	for name, spelling := range map[string]string{
		"empty":                   "",
		"dots":                    "..",
		"two parts":               join(parts[0], parts[1]),
		"four parts":              raw + ".",
		"four parts in front":     "." + raw,
		"five parts (a JWE)":      raw + ".a.b",
		"no signature":            join(parts[0], parts[1], ""),
		"no payload":              join(parts[0], "", parts[2]),
		"no header":               join("", parts[1], parts[2]),
		"padded header":           join(pad(parts[0])+"=", parts[1], parts[2]),
		"padded payload":          join(parts[0], pad(parts[1])+"=", parts[2]),
		"padded signature":        join(parts[0], parts[1], pad(parts[2])),
		"leading space":           " " + raw,
		"trailing space":          raw + " ",
		"trailing newline":        raw + "\n",
		"carriage return inside":  raw[:20] + "\r" + raw[20:],
		"newline inside":          raw[:20] + "\n" + raw[20:],
		"newline in signature":    raw[:len(raw)-4] + "\n" + raw[len(raw)-4:],
		"tab inside":              raw[:20] + "\t" + raw[20:],
		"NUL at the end":          raw + "\x00",
		"standard alphabet":       join(parts[0], parts[1], "+/"+parts[2][2:]),
		"trailing bits":           raw[:len(raw)-1] + string(raw[len(raw)-1]+1),
		"one more character":      raw + "A",
		"non-ASCII dot":           strings.Replace(raw, ".", "。", 1),
		"Bearer left in":          "Bearer " + raw,
		"JSON serialization":      fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]),
		"signature twice as long": raw + parts[2],
		"too long":                join(parts[0], parts[1], strings.Repeat("A", identity.MaxToken)),
	} {
		if id, err := verify(v, spelling, prod); codeOf(t, err) != invalid || id != nil {
			t.Errorf("%s: %v, want %s", name, err, invalid)
		}
	}
	wantCode(t, v, raw, "")
}

func TestTokenSizeIsBounded(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "ES256")
	v := atNoon(t, p)
	// Fill one claim up until the whole has 16 KiB; four thirds of it count.
	filled := func(size int) string {
		return compact(t, p, `{"alg":"ES256"}`, payload(t, map[string]any{"fill": strings.Repeat("x", size)}))
	}
	base := len(filled(0))
	largest := filled((identity.MaxToken - base) * 3 / 4)
	if len(largest) > identity.MaxToken || len(largest) < identity.MaxToken-4 {
		t.Fatalf("the largest token has %d bytes", len(largest))
	}
	wantCode(t, v, largest, "")
	if _, ok := v.Remembered(largest, "", time.Time{}); !ok {
		t.Error("the largest token is not remembered")
	}
	wantCode(t, v, filled((identity.MaxToken-base)*3/4+4), invalid)
	huge := compact(t, p, `{"alg":"ES256","x":"`+strings.Repeat("x", 2*identity.MaxToken)+`"}`, payload(t, nil))
	wantCode(t, v, huge, invalid)
}

// TestKidIsNoPath: what looks like a path, a query or SQL finds no key.
func TestKidIsNoPath(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "ES256")
	v := atNoon(t, p)
	for _, kid := range []string{"", "../../etc/passwd", "' OR 1=1 --", strings.Repeat("k", 8000), "ES256-1", "es256-1 ", "ｅs256-1"} {
		name, err := json.Marshal(kid)
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, v, compact(t, p, `{"alg":"ES256","kid":`+string(name)+`}`, payload(t, nil)), invalid)
	}
}

// TestSignatureOfAnotherEncodingIsRefused: JOSE wants r and s side by side
// (RFC 7518 §3.4), not ASN.1.
func TestSignatureOfAnotherEncodingIsRefused(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := provider(t, noon, "EdDSA")
	p.Adopt("k", "ES256", private)
	v := atNoon(t, p)
	input := encode([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + encode([]byte(payload(t, nil)))
	digest := sha256.Sum256([]byte(input))
	der, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, v, input+"."+encode(der), invalid)
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	pair := func(r, s *big.Int) string {
		return encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}
	wantCode(t, v, input+"."+pair(r, s), "")
	wantCode(t, v, input+"."+pair(s, r), invalid)
	wantCode(t, v, input+"."+pair(new(big.Int), new(big.Int)), invalid)
}

// TestRefusalsTellNothing: the public message is fixed, the cause private, and
// neither shows the token.
func TestRefusalsTellNothing(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "ES256")
	v := atNoon(t, p)
	messages := map[string]bool{}
	for _, raw := range []string{
		"x", sign(t, p, map[string]any{"aud": "other"}), sign(t, p, map[string]any{"sub": 7}),
		compact(t, p, `{"alg":"ES256","kid":"other"}`, payload(t, nil)),
	} {
		_, err := verify(v, raw, prod)
		refusal, ok := errors.AsType[*playback.Error](err)
		if !ok || refusal.Code != invalid || refusal.Kind != playback.Unauthorized || refusal.Err == nil {
			t.Fatalf("%v, want %s with a cause", err, invalid)
		}
		messages[refusal.Message] = true
		if i := strings.LastIndexByte(raw, '.'); i > 0 {
			if strings.Contains(err.Error(), raw[i+1:]) || strings.Contains(err.Error(), raw[:i]) {
				t.Errorf("the error shows the token: %v", err)
			}
		}
	}
	if len(messages) != 1 {
		t.Errorf("public messages = %v, want one for all", messages)
	}
}
