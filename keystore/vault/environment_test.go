package vault_test

import (
	"os"
	"strings"
	"testing"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
)

// TestVaultsEnvironmentVariablesAreIgnored: the configuration decides alone,
// whatever a Vault CLI on the same machine is set up for. Vault's client library
// takes wrong values, and fails on malformed ones.
func TestVaultsEnvironmentVariablesAreIgnored(t *testing.T) {
	r := (&prefixes{server: vaulttest.DevSocket(t)}).rig(t, nil)
	r.store("K1", entry(t, 1, keystore.Active))
	wrong := map[string]string{
		"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_AGENT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "wrong", "VAULT_NAMESPACE": "wrong",
		"VAULT_WRAP_TTL": "60", "VAULT_HEADERS": `{"X-Wrong":"1"}`, "VAULT_MAX_RETRIES": "0", "VAULT_CLIENT_TIMEOUT": "1ms",
		"VAULT_RATE_LIMIT": "0.0001:1", "VAULT_PROXY_ADDR": "http://127.0.0.1:1", "VAULT_HTTP_PROXY": "http://127.0.0.1:1", "VAULT_SRV_LOOKUP": "true",
		"VAULT_DISABLE_REDIRECTS": "true", "VAULT_SKIP_VERIFY": "true", "VAULT_TLS_SERVER_NAME": "wrong", "VAULT_MFA": "wrong",
	}
	cases := map[string]map[string]string{"all of them, wrong": wrong}
	for name, malformed := range map[string]string{
		"VAULT_CACERT": "/missing", "VAULT_CAPATH": "/missing", "VAULT_CACERT_BYTES": "no certificate", "VAULT_CLIENT_CERT": "/missing", "VAULT_CLIENT_KEY": "/missing",
		"VAULT_SKIP_VERIFY": "maybe", "VAULT_SRV_LOOKUP": "maybe", "VAULT_DISABLE_REDIRECTS": "maybe", "VAULT_MAX_RETRIES": "many",
		"VAULT_CLIENT_TIMEOUT": "soon", "VAULT_RATE_LIMIT": "slow", "VAULT_HTTP_PROXY": "http://[", "VAULT_PROXY_ADDR": "http://[", "VAULT_HEADERS": "{",
	} {
		cases[name+" malformed"] = map[string]string{name: malformed}
	}
	for name, variables := range cases {
		t.Run(name, func(t *testing.T) {
			for name, value := range variables {
				t.Setenv(name, value)
			}
			for _, address := range []string{r.server.Address, r.server.Socket} {
				config := r.config
				config.Address = address
				source, err := vault.New(config)
				if err != nil {
					t.Fatalf("%s: New = %v", address, err)
				}
				set, problems, err := keystore.Load(t.Context(), source, acme)
				if err != nil || len(problems) > 0 || len(set.Keys) != 1 || set.Keys[0].State != keystore.Active {
					t.Errorf("%s: Load = %v, %v, %v, want K1", address, set.Keys, problems, err)
				}
				if err := source.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestNoOtherVariablesAreTakenAway: only Vault's own go.
func TestNoOtherVariablesAreTakenAway(t *testing.T) {
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	t.Setenv("PLAYGATE_KEYSTORE_VAULT_ADDRESS", "kept")
	t.Setenv("VAULTED", "kept")
	source, err := vault.New(vault.Config{Address: "unix:///run/vault.sock", Mount: "secret", Auth: vault.Auth{Method: vault.TokenMethod}})
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Close(); err != nil {
		t.Error(err)
	}
	all := strings.Join(os.Environ(), "\n") + "\n"
	if strings.Contains(all, "\nVAULT_") || !strings.Contains(all, "PLAYGATE_KEYSTORE_VAULT_ADDRESS=kept\n") || !strings.Contains(all, "VAULTED=kept\n") {
		t.Error("not exactly Vault's variables were taken away")
	}
}
