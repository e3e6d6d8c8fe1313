package app_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/configs"
)

// minimal is a configuration whose keys are files beside it.
const minimal = `
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", drain_delay: 0}
organizations:
  - id: acme
    environments:
      - id: acme
        access_tokens: [{id: backend, secret_sha256: 531854cef641648c7817441c3a04ae025e91d882aa1ac318057cba7e979b2140, permissions: [video:read]}]
`

// writeKeys puts signing keys beside a configuration, with their states.
func writeKeys(t *testing.T, path string, states map[string]string) {
	t.Helper()
	dir := filepath.Join(filepath.Dir(path), "keys", "acme")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for id, state := range states {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
		if err := os.WriteFile(filepath.Join(dir, id+".pem"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if state == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, id+".json"), []byte(state), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckWarnsOfKeys(t *testing.T) {
	t.Parallel()
	const active, prepared = `{"state":"active"}`, `{"state":"prepared"}`
	const longRetired = `{"state":"retired","retired_at":"2020-01-01T00:00:00Z"}`
	inPlace := func(member string) string {
		return strings.Replace(minimal, "- id: acme\n        access", "- id: acme\n        "+member+"\n        access", 1)
	}
	for name, test := range map[string]struct {
		text string
		keys map[string]string
		want string // part of a warning or, after "!", none of one
	}{
		"no key":                            {minimal, map[string]string{}, "no active signing key"},
		"two published keys, kid as claim":  {minimal, map[string]string{"K1": active, "K2": prepared}, "token.kid: claim, and 2 keys are published"},
		"two published keys, kid in both":   {inPlace("token: {kid: both}"), map[string]string{"K1": active, "K2": prepared}, "!token.kid"},
		"one key":                           {minimal, map[string]string{"K1": ""}, "!token.kid"},
		"the second key may be deleted now": {minimal, map[string]string{"K1": active, "K2": longRetired}, "!token.kid"},
		"a state that nobody knows":         {minimal, map[string]string{"K1": active, "K2": `{"state":"asleep"}`}, "environments[0]: signing key refused or overruled: "},
		"a schedule, and a key of unknown age": {
			inPlace("keys: {rotate_every: 30d}"),
			map[string]string{"K1": ""},
			"environments[0].keys.rotate_every: since when the active key K1 signs is not known, so nothing is rotated: write {\"activated_at\":\"20",
		},
		"a schedule, and a key whose creation is known": {
			inPlace("keys: {rotate_every: 30d}"),
			map[string]string{"K1": `{"state":"active","created_at":1795425054,"external":true}`},
			`so its age counts from created_at: write {"activated_at":"2026-11-23T09:10:54Z","created_at":"2026-11-23T09:10:54Z","external":true,"state":"active"} to `,
		},
		"a schedule, and a key whose activation is known": {inPlace("keys: {rotate_every: 30d}"), map[string]string{"K1": `{"state":"active","activated_at":1795425054}`}, "!is not known"},
		"no schedule":     {minimal, map[string]string{"K1": ""}, "!rotate_every"},
		"two active keys": {minimal, map[string]string{"K1": active, "K2": active}, "counts as retired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, test.text)
			writeKeys(t, path, test.keys)
			_, warnings, err := app.Check(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			all := configs.Problems(warnings).Error()
			unwanted, none := strings.CutPrefix(test.want, "!")
			if none && strings.Contains(all, unwanted) || !none && !strings.Contains(all, test.want) {
				t.Errorf("warnings: %s\nwant %s", all, test.want)
			}
		})
	}
}

// TestTheStateThatCheckProposesEndsItsWarning does what the warning says.
func TestTheStateThatCheckProposesEndsItsWarning(t *testing.T) {
	t.Parallel()
	path := write(t, strings.Replace(minimal, "        access", "        keys: {rotate_every: 30d}\n        access", 1))
	writeKeys(t, path, map[string]string{"K1": ""})
	proposed := regexp.MustCompile(`since when the active key K1 signs is not known, .*: write (\{.*\}) to (\S+/keys/acme/K1\.json)`)
	said := func() []string {
		_, warnings, err := app.Check(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return proposed.FindStringSubmatch(configs.Problems(warnings).Error())
	}
	before := said()
	if before == nil {
		t.Fatal("there is no such warning")
	}
	if err := os.WriteFile(before[2], []byte(before[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	if after := said(); after != nil {
		t.Errorf("still: %q", after)
	}
}

func TestCheckFindsWhatWouldStopTheStart(t *testing.T) {
	t.Parallel()
	path := write(t, minimal)
	writeKeys(t, path, map[string]string{"K1": "", "K2": ""})
	_, _, err := app.Check(path, nil)
	var problems configs.Problems
	if !errors.As(err, &problems) || problems[0].Path != "organizations[0].environments[0]" || !strings.Contains(err.Error(), "K1.pem") || !strings.Contains(err.Error(), "K2.pem") {
		t.Errorf("Check = %v, want both keys named at the environment's path", err)
	}
}

// TestCheckSaysThatTheStoreCannotBeWritten, whoever runs it: in /proc nobody can
// create a file, whatever its permissions say.
func TestCheckSaysThatTheStoreCannotBeWritten(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a folder that not even root can write to")
	}
	for member, want := range map[string]string{
		"store: {dsn: /proc/self/playgate.db}":                 "store.dsn: the folder /proc/self cannot be written: ",
		"store: {dsn: /nowhere/playgate.db}":                   "store.dsn: there is no folder /nowhere",
		"store: {driver: memory, dsn: /proc/self/playgate.db}": "",
		"store: {dsn: %[1]s/new.db}":                           "",
		"store: {dsn: %[1]s/folder}":                           "store.dsn: %[1]s/folder cannot be written: is a directory",
		decisionsTo("/proc/self/decisions.log"):                "decisions.file.path: the folder /proc/self cannot be written: ",
		decisionsTo("%[1]s/decisions.log"):                     "",
	} {
		path := write(t, "")
		dir := filepath.Dir(path)
		filled := func(text string) string { return strings.ReplaceAll(text, "%[1]s", dir) }
		put(t, path, filled(member)+"\n"+minimal)
		put(t, filepath.Join(dir, "key"), "a key of the test's own")
		if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = app.Check(path, nil)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.HasPrefix(err.Error(), filled(want))):
			t.Errorf("%s: Check = %v, want %q", filled(member), err, filled(want))
		}
		if after, err := os.ReadDir(dir); err != nil || len(after) != len(before) {
			t.Errorf("%s: the check left %v, %v", filled(member), after, err)
		}
	}
}

func decisionsTo(file string) string {
	return "decisions: {output: file, pseudonym_key_file: key, file: {path: " + file + "}}\nstore: {driver: memory}"
}

func TestCheckReadsKeySetsInFiles(t *testing.T) {
	t.Parallel()
	text := strings.Replace(minimal, "        access", "        viewers: [{issuer: 'https://idp.example', jwks_file: jwks.json, algorithms: [RS256]}]\n        access", 1)
	for body, wantProblem := range map[string]bool{"no JSON": true, `{"keys":5}`: true, `{"keys":[]}`: false} {
		path := write(t, text)
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "jwks.json"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		_, warnings, err := app.Check(path, nil)
		said := configs.Problems(warnings).Error()
		if wantProblem {
			said = ""
			if err != nil {
				said = err.Error()
			}
		}
		if (err != nil) != wantProblem || !strings.Contains(said, "viewers[0].jwks_file: ") {
			t.Errorf("%s: %v, %s", body, err, said)
		}
	}
}

func TestAnEnvironmentWithoutRulesStartsAndDeniesEverything(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	text := strings.Replace(configuration, "        policy: {version: 1, rules: [{id: open, effect: allow, when: 'true'}]}\n", "", 1)
	a, err := app.New(app.Options{Path: write(t, text), Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, "http://"+a.Addr().String()+"/v1/playback-ids/P1/token"); code != http.StatusForbidden || !strings.Contains(body, "no_matching_rule") {
		t.Errorf("token: %d %s", code, body)
	}
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	if got := strings.Count(log.String(), "there are no rules"); got != 1 {
		t.Errorf("the start says %d times that there are no rules: %s", got, log.String())
	}
}

func TestReloadChangesTheDrainDelay(t *testing.T) {
	t.Parallel()
	path := write(t, strings.Replace(configuration, "drain_delay: 0", "drain_delay: 1h", 1))
	a, err := app.New(app.Options{Path: path, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop() }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the stop waits for the delay that was replaced")
	}
}

// TestCheckWarnsOfKeySetsThatAreSomethingElse, judged by the URL alone.
func TestCheckWarnsOfKeySetsThatAreSomethingElse(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com": "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
		"https://idp.example/.well-known/openid-configuration":                                     "discovery document",
		"https://idp.example/.well-known/jwks.json":                                                "",
	} {
		path := write(t, strings.Replace(minimal, "access_tokens:", "viewers: [{issuer: https://idp.example, jwks_url: '"+url+"', algorithms: [RS256]}]\n        access_tokens:", 1))
		writeKeys(t, path, map[string]string{"K1": ""})
		_, warnings, err := app.Check(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, w := range warnings {
			if w.Path == "organizations[0].environments[0].viewers[0].jwks_url" && w.Line == 7 {
				found = append(found, w.Message)
			}
		}
		if want == "" && len(found) > 0 || want != "" && (len(found) != 1 || !strings.Contains(found[0], want)) {
			t.Errorf("%s: warnings %q, want %q", url, found, want)
		}
	}
}

// TestCheckWarnsOfRulesThatDoNotSeeUnknownObjects: with the catalog.unknown of the
// environment that the rules are for.
func TestCheckWarnsOfRulesThatDoNotSeeUnknownObjects(t *testing.T) {
	t.Parallel()
	for unknown, want := range map[string]bool{"signed": true, "deny": false} {
		rules := `policy: {version: 1, rules: [{id: embargo, effect: deny, when: 'asset.passthrough == "film-1"'}, {id: all, effect: allow, when: "true"}]}`
		path := write(t, strings.Replace(minimal, "- id: acme\n        access", "- id: acme\n        catalog: {unknown: "+unknown+"}\n        "+rules+"\n        access", 1))
		writeKeys(t, path, map[string]string{"K1": ""})
		_, warnings, err := app.Check(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, w := range warnings {
			found = found || strings.Contains(w.Message, `write !playback.known || asset.passthrough == "film-1", or set catalog.unknown: lookup`)
		}
		if found != want {
			t.Errorf("catalog.unknown: %s: %v", unknown, warnings)
		}
	}
}
