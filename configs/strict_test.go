package configs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnUnknownKeyIsAnError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, path, words string }{
		{"servers: {}", "servers", `"server"`},
		{"Server: {}", "Server", `"server"`},
		{"server: {lisen: ':1'}", "server.lisen", `"listen"`},
		{"server: {port: 1}", "server.port", "want one of listen, tls"},
		{"server: {tls: {ca: x}}", "server.tls.ca", "unknown key"},
		{"keystore: {vault: {auth: {token: s3cret}}}", "keystore.vault.auth.token", "unknown key"},
		{"organizations: [{id: a, envs: []}]", "organizations[0].envs", "unknown key"},
		{environment("ttl: 5m"), inEnvironment + "ttl", "unknown key"},
		{environment("token: {default_tll: 5m}"), inEnvironment + "token.default_tll", `"default_ttl"`},
		{environment(viewer("jwks: x")), inEnvironment + "viewers[0].jwks", "unknown key"},
		{environment("playback_ids: [{id: P, asset: {id: A, durations: 1}}]"), inEnvironment + "playback_ids[0].asset.durations", `"duration"`},
		{environment("playback_ids: [{id: P, live_stream: {id: A, duration: 1}}]"), inEnvironment + "playback_ids[0].live_stream.duration", "unknown key"},
		{"1: 2", "1", "unknown key"},
		{`"a.b": 2`, `"a.b"`, "unknown key"},
		{`"": 2`, `""`, "unknown key"},
		{"server: {null: 2}", "server.null", "unknown key"},
	} {
		refused(t, c.text, c.path, c.words, nil)
	}
}

func TestASectionThatIsNotBuiltYetIsRefusedAsUnknown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, path string }{
		{"redis: {address: ''}", "redis"},
		{environment("edge: {trusted: []}"), inEnvironment + "edge"},
	} {
		refused(t, c.text, c.path, "unknown key: not available in this version", nil)
	}
}

func TestAValueThatIsNotBuiltYetIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, path string }{
		{environment("token: {traceable: true}"), inEnvironment + "token.traceable"},
		{environment("delivery: {token_in: path}"), inEnvironment + "delivery.token_in"},
		{environment("delivery: {token_in: cookie}"), inEnvironment + "delivery.token_in"},
	} {
		refused(t, c.text, c.path, "not available in this version", nil)
	}
	mustLoad(t, environment("token: {traceable: false}"), nil)
}

func TestARepeatedKeyIsAnError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, path, words string }{
		{"log: {level: info}\nsigner: {}\nlog: {format: json}", "log", "line 1"},
		{"log: {level: info, level: warn}", "log.level", "line 1"},
		{"log: {level: info, \"level\": warn}", "log.level", "line 1"},
		{`{"log": {"level": "info", "level": "warn"}}`, "log.level", "line 1"},
		{environment("playback_ids: [{id: P, asset: {id: A, meta: {x: 1, x: 1}}}]"), inEnvironment + "playback_ids[0].asset.meta.x", "line 5"},
		{environment("policy: {version: 1, rules: [{id: a, id: b}]}"), inEnvironment + "policy.rules[0].id", "line 5"},
	} {
		refused(t, c.text, c.path, c.words, nil)
	}
}

func TestAWrongTypeIsAnError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, path, words string }{
		{"[]", "", "want a mapping of members, not a list"},
		{"text", "", "want a mapping of members, not a string"},
		{"5", "", "want a mapping of members, not a number"},
		{"server: 5", "server", "want a mapping"},
		{"server: ''", "server", "want a mapping"},
		{"server: []", "server", "want a mapping"},
		{"server: {listen: []}", "server.listen", "want a string, not a list"},
		{"server: {listen: {}}", "server.listen", "want a string, not a mapping"},
		{"server: {listen: true}", "server.listen", "want a string, not a boolean"},
		{"server: {admin_pprof: 'true'}", "server.admin_pprof", "want a boolean, not a string"},
		{"server: {admin_pprof: 1}", "server.admin_pprof", "want a boolean, not a number"},
		{"server: {admin_pprof: yes}", "server.admin_pprof", "want a boolean, not a string"},
		{"server: {trusted_proxies: 10.0.0.0/8}", "server.trusted_proxies", "want a list"},
		{"server: {trusted_proxies: {}}", "server.trusted_proxies", "want a list"},
		{"server: {trusted_proxies: [10.0.0.0/8, ]}", "", ""},
		{"server: {trusted_proxies: [null]}", "server.trusted_proxies[0]", "is empty"},
		{"server: {trusted_proxies: [[10.0.0.0/8]]}", "server.trusted_proxies[0]", "want a CIDR, not a list"},
		{"signer: {queue: '5'}", "signer.queue", "want an integer, not a string"},
		{"signer: {queue: 5.0}", "signer.queue", "want an integer, not a number"},
		{"organizations: {id: acme}", "organizations", "want a list"},
		{"organizations: [acme]", "organizations[0]", "want a mapping"},
		{"organizations: [null]", "organizations[0]", "is empty"},
		{environment("hosts: play.example"), inEnvironment + "hosts", "want a list"},
		{environment("viewer_cookie: false"), inEnvironment + "viewer_cookie", "not a boolean"},
		{environment("policy: []"), inEnvironment + "policy", "want the rules as a mapping"},
		{environment("policy: policies/x.yaml"), inEnvironment + "policy", "want the rules as a mapping"},
		{environment("playback_ids: [P1]"), inEnvironment + "playback_ids[0]", "want a mapping"},
		{environment("playback_ids: [{id: P1, asset: A1}]"), inEnvironment + "playback_ids[0].asset", "want a mapping"},
		{environment("playback_ids: [{id: P1, asset: {id: A1, duration: '5'}}]"), inEnvironment + "playback_ids[0].asset.duration", "want a number"},
		{environment("playback_ids: [{id: P1, asset: {id: A1, meta: []}}]"), inEnvironment + "playback_ids[0].asset.meta", "want a mapping"},
	} {
		if c.words == "" {
			mustLoad(t, c.text, nil)
			continue
		}
		refused(t, c.text, c.path, c.words, nil)
	}
}

func TestEverythingWrongIsReportedAtOnceWithPathAndLine(t *testing.T) {
	t.Parallel()
	got := problemsOf(t, `server:
  lisen: ":80"
  drain_delay: -5s
  trusted_proxies: [10.0.0.1]
log: {level: loud}
keystore: {driver: s3}
organizations:
  - id: Acme
    environments:
      - hosts: ["play.example:8080"]
        token: {default_ttl: 2h, max_ttl: 1h}
        viewers:
          - issuer: https://idp.example
            algorithms: [HS256]
        access_tokens:
          - {id: t1, secret_sha256: s3cret}
        policy_file: nowhere.yaml
`, nil)
	want := []string{
		`server.lisen: unknown key; is it "listen" that is meant? (line 2)`,
		`server.drain_delay: "-5s" is not a duration: want integer seconds, or 90s, 15m, 1h, 7d (line 3)`,
		`server.trusted_proxies[0]: "10.0.0.1": want a CIDR, such as 10.0.0.1/32 (line 4)`,
		`log.level: "loud": want one of debug, info, warn, error (line 5)`,
		`keystore.driver: "s3": want one of memory, file, vault (line 6)`,
		`organizations[0].id: "Acme" does not match ^[a-z0-9][a-z0-9-]{0,62}$ (line 8)`,
		`organizations[0].environments[0].id: is required (line 10)`,
		`organizations[0].environments[0].hosts[0]: "play.example:8080": a host is written without its port, which is not compared (line 10)`,
		`organizations[0].environments[0].token.default_ttl: 2h is longer than max_ttl, 1h (line 11)`,
		`organizations[0].environments[0].viewers[0].jwks_url: is required, or jwks_file (line 13)`,
		`organizations[0].environments[0].viewers[0].algorithms[0]: "HS256": want one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519 (line 14)`,
		`organizations[0].environments[0].access_tokens[0].secret_sha256: want the SHA-256 of the secret as 64 hexadecimal digits (line 16)`,
		`organizations[0].environments[0].policy_file: reading /etc/playgate/nowhere.yaml: file does not exist (line 17)`,
	}
	if diff := cmp.Diff(want, strings.Split(got.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
}
