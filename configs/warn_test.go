package configs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/configs"
)

const someRules = "policy: {version: 1, rules: [{id: a, effect: allow, when: 'viewer.authenticated'}]}"

func TestWhatIsLegalButDangerousIsWarnedOf(t *testing.T) {
	t.Parallel()
	around := files{
		home + "/short": "secret", home + "/example": "example-key-replace-me", home + "/good": "0123456789abcdef0123456789abcdef", home + "/token": "t",
	}
	in := func(members string) string {
		return environment(someRules + "\nviewers: [" + oneViewer + "]\n" + members)
	}
	for name, c := range map[string]struct {
		text  string
		paths []string
	}{
		"nothing":                {in(""), nil},
		"no environment":         {"", []string{"organizations"}},
		"an empty organization":  {"organizations: [{id: acme}]", []string{"organizations"}},
		"admin for all":          {"server: {admin_listen: ':9090', listen: ':80'}\n" + in(""), []string{"server.admin_listen"}},
		"admin on one interface": {"server: {admin_listen: '10.0.0.1:9090'}\n" + in(""), []string{"server.admin_listen"}},
		"admin on loopback":      {"server: {admin_listen: '[::1]:9090'}\n" + in(""), nil},
		"admin by name":          {"server: {admin_listen: 'localhost:9090'}\n" + in(""), nil},
		"no admin":               {"server: {admin_listen: ''}\n" + in(""), nil},
		"pprof":                  {"server: {admin_pprof: true}\n" + in(""), []string{"server.admin_pprof"}},
		"everybody is a proxy": {
			"server: {trusted_proxies: [10.0.0.0/8, 0.0.0.0/0, '::/0']}\n" + in(""), []string{"server.trusted_proxies[1]", "server.trusted_proxies[2]"},
		},
		"everybody is a proxy, mapped": {"server: {trusted_proxies: ['::ffff:0.0.0.0/96']}\n" + in(""), []string{"server.trusted_proxies[0]"}},
		"memory keys":                  {"keystore: {driver: memory}\n" + in(""), []string{"keystore.driver"}},
		"Vault over http": {
			"keystore: {driver: vault, vault: {address: 'http://vault:8200', auth: {token_file: token}}}\n" + in(""), []string{"keystore.vault.address"},
		},
		"Vault on loopback":        {"keystore: {driver: vault, vault: {auth: {token_file: token}}}\n" + in(""), nil},
		"Vault that is not used":   {"keystore: {vault: {address: 'http://vault:8200'}}\n" + in(""), nil},
		"origins of every site":    {in(`cors_origins: ["https://a.example", "*"]`), []string{inEnvironment + "cors_origins[1]"}},
		"long tokens":              {in("token: {max_ttl: 8d}"), []string{inEnvironment + "token.max_ttl"}},
		"tokens of a week":         {in("token: {max_ttl: 7d}"), nil},
		"delivery over http":       {in("delivery: {stream: 'http://cdn.example', image: 'http://127.0.0.1:1', stats: 'http://s.example'}"), []string{inEnvironment + "delivery.stream", inEnvironment + "delivery.stats"}},
		"a token without a right":  {in("access_tokens: [{id: t1, secret_sha256: " + hash + "}]"), []string{inEnvironment + "access_tokens[0].permissions"}},
		"nobody can call":          {environment(someRules), []string{inEnvironment[:len(inEnvironment)-1]}},
		"only backends":            {environment(someRules + "\naccess_tokens: [{id: t1, secret_sha256: " + hash + ", permissions: [video:read]}]"), nil},
		"no rules":                 {environment("viewers: [" + oneViewer + "]"), []string{inEnvironment + "policy"}},
		"no rules in the document": {environment("viewers: [" + oneViewer + "]\npolicy: {version: 1}"), []string{inEnvironment + "policy"}},
		"anonymous, and no rule looks": {
			environment("anonymous: true\npolicy: {version: 1, rules: [{id: a, effect: allow, when: 'true'}]}"), []string{inEnvironment + "anonymous"},
		},
		"anonymous, and a rule looks":        {environment("anonymous: true\n" + someRules), nil},
		"anonymous without limits":           {environment("anonymous: true\nrate_limits: {ip: ''}\n" + someRules), []string{inEnvironment + "rate_limits.ip"}},
		"the example's key":                  {in("token: {pseudonym_key_file: example}"), []string{inEnvironment + "token.pseudonym_key_file"}},
		"a key that can be guessed":          {in("token: {pseudonym_key_file: short}"), []string{inEnvironment + "token.pseudonym_key_file"}},
		"a key that is prepared in a hurry":  {in("keys: {prepare_for: 3s}"), []string{inEnvironment + "keys.prepare_for"}},
		"a key that is prepared long enough": {in("keys: {prepare_for: 4s}"), nil},
		"prepared in a hurry, for Vault": {
			"keystore: {driver: vault, vault: {refresh_interval: 10, auth: {token_file: token}}}\n" + in("keys: {prepare_for: 19s}"), []string{inEnvironment + "keys.prepare_for"},
		},
		"rotation without Mux":           {in("keys: {rotate_every: 30d}"), []string{inEnvironment + "keys.rotate_every"}},
		"rotation for another verifier":  {in("keys: {rotate_every: 30d, local: true}"), nil},
		"rotation on a custom domain":    {in("keys: {rotate_every: 30d}\ndelivery: {stream: 'https://cdn.example'}"), []string{inEnvironment + "keys.rotate_every"}},
		"rotation with Mux":              {in("keys: {rotate_every: 30d}\nmux: {token_id: t, token_secret_file: good}"), nil},
		"rotation faster than its steps": {in("keys: {rotate_every: 1m}\nmux: {token_id: t, token_secret_file: good}"), []string{inEnvironment + "keys.rotate_every"}},
		"Mux over http":                  {in("mux: {token_id: t, token_secret_file: good, base_url: 'http://mux.example'}"), []string{inEnvironment + "mux.base_url"}},
		"Mux over http, never asked":     {in("mux: {base_url: 'http://mux.example'}"), nil},
		"a good key":                     {in("token: {pseudonym_key_file: good}"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var paths []string
			for _, w := range mustLoad(t, c.text, around).Warnings {
				paths = append(paths, w.Path)
				if w.Message == "" || c.text != "" && w.Line == 0 {
					t.Errorf("warning %+v", w)
				}
			}
			if diff := cmp.Diff(c.paths, paths); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const oneViewer = "{issuer: https://idp.example, jwks_url: https://idp.example/jwks.json, algorithms: [RS256]}"

func TestOtherRoomsFindTheirProblemsInTheSamePass(t *testing.T) {
	t.Parallel()
	source := configs.Source{
		Path: home + "/playgate.yaml", ReadFile: files{}.read,
		Data: []byte("log: {level: loud}\n" + environment(someRules+"\nanonymous: 5\nviewer_query: token")),
		Check: func(path string, e *configs.Environment, _ configs.ReadFunc) configs.Checked {
			if e.ID != "acme-prod" || e.Policy.Document == nil {
				t.Errorf("checking %+v", e)
			}
			return configs.Checked{
				Problems: []configs.Problem{{Path: e.Policy.Path + ".rules[0].when", Message: "does not compile"}},
				Warnings: []configs.Problem{{Path: path, Message: "w"}},
			}
		},
	}
	_, err := source.Load()
	want := `log.level: "loud": want one of debug, info, warn, error (line 1)
organizations[0].environments[0].policy.rules[0].when: does not compile (line 6)
organizations[0].environments[0].anonymous: want a boolean, not a number (line 7)
organizations[0].environments[0].viewer_query: "token" is a parameter with a meaning of its own (line 8)`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	source.Data = []byte(environment(someRules + "\nanonymous: true"))
	source.Check = func(path string, _ *configs.Environment, _ configs.ReadFunc) configs.Checked {
		return configs.Checked{Warnings: []configs.Problem{{Path: path + ".policy", Message: "w"}}}
	}
	loaded, err := source.Load()
	if err != nil || len(loaded.Warnings) != 1 || loaded.Warnings[0].Line != 5 {
		t.Errorf("Load = %+v, %v", loaded, err)
	}
}

func TestTwoEnvironmentsWithOneAccessTokenOfMux(t *testing.T) {
	t.Parallel()
	const text = `
organizations:
  - id: acme
    environments:
      - {id: one, mux: {token_id: t, token_secret_file: good}}
      - {id: two, mux: {token_id: t, token_secret_file: good}}
      - {id: three, mux: {token_id: u, token_secret_file: good}}
      - {id: four}
`
	var paths []string
	for _, w := range mustLoad(t, text, files{home + "/good": "s3cret\n"}).Warnings {
		if strings.HasSuffix(w.Path, "mux.token_id") {
			paths = append(paths, w.Path)
		}
	}
	if len(paths) != 1 || paths[0] != "organizations[0].environments[1].mux.token_id" {
		t.Errorf("warnings at %v", paths)
	}
}
