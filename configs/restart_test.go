package configs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/configs"
)

func TestRestartOnlyNamesWhatAReloadCannotChange(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t)
	around := files{home + "/c.pem": cert, home + "/k.pem": key, home + "/d.pem": cert, home + "/token": "one"}
	for name, c := range map[string]struct {
		old, next string
		want      []string
	}{
		"nothing":            {"", "server: {listen: ':8080'}", nil},
		"listen":             {"", "server: {listen: ':8081'}", []string{"server.listen"}},
		"admin_listen":       {"", "server: {admin_listen: ''}", []string{"server.admin_listen"}},
		"admin_pprof":        {"", "server: {admin_pprof: true}", []string{"server.admin_pprof"}},
		"TLS on":             {"", "server: {tls: {cert_file: c.pem, key_file: k.pem}}", []string{"server.tls"}},
		"TLS off":            {"server: {tls: {cert_file: c.pem, key_file: k.pem}}", "", []string{"server.tls"}},
		"another pair":       {"server: {tls: {cert_file: c.pem, key_file: k.pem}}", "server: {tls: {cert_file: d.pem, key_file: k.pem}}", nil},
		"log.format":         {"", "log: {format: text}", []string{"log.format"}},
		"log otherwise":      {"", "log: {level: debug, access: all}", nil},
		"server otherwise":   {"", "server: {trusted_proxies: [10.0.0.0/8], drain_delay: 0, unresolved_rate_limit: ''}", nil},
		"the key store":      {"", "keystore: {driver: memory, file: {dir: x}, vault: {prefix: x, auth: {mount: y}}}", []string{"keystore.driver", "keystore.file.dir", "keystore.vault.prefix", "keystore.vault.auth.mount"}},
		"signer and cache":   {"", "signer: {backend: go, concurrency: 1, queue: 2}\ncache: {max_entries: 3, max_bytes: 4, max_identities: 5, max_unknown_ids: 6}", []string{"signer.backend", "signer.concurrency", "signer.queue", "cache.max_entries", "cache.max_bytes", "cache.max_identities", "cache.max_unknown_ids"}},
		"organizations":      {"", "organizations: [{id: a, environments: [{id: b}]}]", nil},
		"several, in order":  {"", "cache: {max_entries: 3}\nserver: {listen: ':1', drain_delay: 1}", []string{"server.listen", "cache.max_entries"}},
		"null is no change":  {"signer: {queue: 1024}", "signer: ~", nil},
		"spelling is no one": {"cache: {max_bytes: 1024KiB}", "cache: {max_bytes: 1MiB}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := configs.RestartOnly(mustLoad(t, c.old, around).Config, mustLoad(t, c.next, around).Config)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestASecretThatChangedInItsFileTakesNoRestart(t *testing.T) {
	t.Parallel()
	const text = "keystore: {driver: vault, vault: {auth: {token_file: token}}}"
	old, next := mustLoad(t, text, files{home + "/token": "one"}).Config, mustLoad(t, text, files{home + "/token": "two"}).Config
	if got := configs.RestartOnly(old, next); got != nil {
		t.Errorf("RestartOnly = %q, want nothing", got)
	}
}
