package cli_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/keystore/keystoretest"
)

// keyFiles is a configuration of environment acme with these files as its keys.
func keyFiles(keys map[string]string) map[string]string {
	files := map[string]string{"config.yaml": "organizations: [{id: acme, environments: [{id: acme}]}]\n"}
	for name, text := range keys {
		files["keys/acme/"+name] = text
	}
	return files
}

// sign are the arguments that sign a token with the keys of keyFiles.
func sign(more ...string) []string {
	return append([]string{"token", "sign", "P1", "--config", "@config.yaml", "--environment", "acme"}, more...)
}

func TestTokenSignTakesAParameterAsItWasTyped(t *testing.T) {
	t.Parallel()
	run := folder(t, keyFiles(nil))
	status, out, errs := run(sign("--param", "asset_start_time=1;asset_end_time=9")...)
	if status != 1 || out != "" || !strings.Contains(errs, "--param: asset_start_time") || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, %q, %q, want 1 and one line about the value 1;asset_end_time=9", status, out, errs)
	}
}

func TestTokenSignRefusesParametersThatSayTwoThings(t *testing.T) {
	t.Parallel()
	run := folder(t, keyFiles(map[string]string{"K1.pem": string(keystoretest.PEM(t, 1))}))
	for _, c := range []struct {
		params []string
		status int
		want   string
	}{
		{[]string{"--param", "max_resolution=720p", "--param", "max_resolution=1080p"}, 1, `--param: "max_resolution" is given twice`},
		{[]string{"--param", "max_resolution=720p", "--param", "exclude_pdt=true", "--param", "max_resolution=720p"}, 1, `--param: "max_resolution" is given twice`},
		{[]string{"--param", "max_resolution"}, 2, "want K=V"},
		{[]string{"--param", "=720p"}, 2, "want K=V"},
	} {
		status, out, errs := run(sign(c.params...)...)
		if status != c.status || out != "" || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: status %d, %q, %q, want %d and one line with %q", c.params, status, out, errs, c.status, c.want)
		}
	}
	if status, out, errs := run(sign("--param", "max_resolution=720p", "--param", "exclude_pdt=true")...); status != 0 || strings.Count(out, ".") != 2 || errs != "" {
		t.Errorf("two parameters: status %d, %q, %q", status, out, errs)
	}
}

func TestTokenSignSaysWhyThereIsNoActiveKey(t *testing.T) {
	t.Parallel()
	const prepared, retired = `{"state":"prepared"}`, `{"state":"retired"}`
	good := string(keystoretest.PEM(t, 1))
	for name, c := range map[string]struct {
		keys map[string]string
		want []string // a line each, after the first
	}{
		"no keys":         {map[string]string{"README": "x"}, []string{"keys/acme: holds no key files (*.pem)"}},
		"a truncated key": {map[string]string{"K1.pem": good[:500]}, []string{"keys/acme/K1.pem: is truncated or damaged PEM"}},
		"a public key beside a prepared one": {
			map[string]string{"K1.pem": "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n", "K2.pem": good, "K2.json": prepared},
			[]string{"keys/acme/K1.pem: is a public key; want the private key", "keys/acme/K2.pem: is prepared, and signs once it is activated: playgate keys activate K2"},
		},
		"a retired key":   {map[string]string{"K1.pem": good, "K1.json": retired}, []string{"keys/acme/K1.pem: is retired, and signs no more"}},
		"a broken state":  {map[string]string{"K1.pem": good, "K1.json": "{"}, []string{"keys/acme/K1.pem: its state (K1.json) is not a JSON object"}},
		"a state unknown": {map[string]string{"K1.pem": good, "K1.json": `{"state":"on"}`}, []string{`keys/acme/K1.pem: its state (K1.json) has the unknown state "on"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, out, errs := folder(t, keyFiles(c.keys))(sign()...)
			lines := strings.Split(strings.TrimSuffix(errs, "\n"), "\n")
			if status != 1 || out != "" || lines[0] != "playgate: environment acme has no active signing key" || len(lines) != 1+len(c.want) {
				t.Fatalf("status %d, %q\n%s", status, out, errs)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(lines[i+1], "playgate: "+want) {
					t.Errorf("%s\nwant %s", lines[i+1], want)
				}
			}
		})
	}
}

func TestTokenSignSaysThatThereIsNoKeyDirectory(t *testing.T) {
	t.Parallel()
	status, out, errs := folder(t, keyFiles(nil))(sign()...)
	if status != 1 || out != "" || !strings.Contains(errs, "environment acme: reading keyset: the key directory does not exist (keystore.file.dir)") {
		t.Errorf("status %d, %q, %s", status, out, errs)
	}
}

func TestTokenSignWarnsOfARepairedKey(t *testing.T) {
	t.Parallel()
	folded := strings.ReplaceAll(string(keystoretest.PEM(t, 1)), "\n", " ")
	run := folder(t, keyFiles(map[string]string{"K1.pem": folded}))
	status, out, errs := run(sign()...)
	if status != 0 || !strings.HasPrefix(errs, "warning: signing key keys/acme/K1.pem: was repaired to be read, because it had spaces in place of its line breaks; ") {
		t.Fatalf("status %d, %q, %s", status, out, errs)
	}
	if status, out, errs := run("token", "verify", strings.TrimSpace(out), "--config", "@config.yaml"); status != 0 {
		t.Errorf("verified: status %d, %s%s", status, out, errs)
	}
	if status, _, errs := run("check-config", "@config.yaml"); status != 0 || !strings.Contains(errs, "keys/acme/K1.pem: was repaired") {
		t.Errorf("check-config: status %d, %s", status, errs)
	}
}

func TestKeysImportSaysWhatItRepaired(t *testing.T) {
	t.Parallel()
	files := keyFiles(nil)
	files["mux.txt"] = strings.ReplaceAll(string(keystoretest.PEM(t, 1)), "\n", `\n`)
	run := folder(t, files)
	status, out, errs := run("keys", "import", "K1", "@mux.txt", "--config", "@config.yaml", "--environment", "acme")
	const want = "warning: the key was repaired to be read, because it had line breaks written as \\n; it is stored as PEM\n"
	if status != 0 || out != "K1\n" || !strings.Contains(errs, want) {
		t.Fatalf("status %d, %q, %s, want %s", status, out, errs, want)
	}
	if status, out, errs := run("keys", "list", "--config", "@config.yaml", "--environment", "acme"); status != 0 || errs != "" || !strings.Contains(out, "K1  prepared") {
		t.Errorf("list: status %d, %s%s", status, out, errs)
	}
	if status, _, errs := run("keys", "activate", "K1", "--config", "@config.yaml", "--environment", "acme"); status != 0 {
		t.Errorf("activate: status %d, %s", status, errs)
	}
	if status, out, errs := run(sign()...); status != 0 || errs != "" {
		t.Errorf("sign: status %d, %q, %s", status, out, errs)
	}
}

// TestTokenVerifyNamesTheKeyThatCouldNotBeRead: the key that nobody has may be
// one that is there.
func TestTokenVerifyNamesTheKeyThatCouldNotBeRead(t *testing.T) {
	t.Parallel()
	good := string(keystoretest.PEM(t, 1))
	status, out, errs := folder(t, keyFiles(map[string]string{"K1.pem": good}))(sign()...)
	if status != 0 {
		t.Fatalf("status %d, %s", status, errs)
	}
	run := folder(t, keyFiles(map[string]string{"K1.pem": good[:500], "K2.pem": string(keystoretest.PEM(t, 2))}))
	status, out, errs = run("token", "verify", strings.TrimSpace(out), "--config", "@config.yaml")
	const want = "warning: signing key keys/acme/K1.pem: is truncated or damaged PEM\nplaygate: not valid: unknown_kid: "
	if status != 1 || out != "" || !strings.HasPrefix(errs, want) {
		t.Errorf("status %d, %q, %s, want 1 and %s", status, out, errs, want)
	}
}
