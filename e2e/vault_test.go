package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore/vault/vaulttest"
)

// vaultStore is a key store that a gateway reads every second, logged in by
// AppRole.
func vaultStore(t *testing.T, server *vaulttest.Server) string {
	t.Helper()
	server.Policy("gateway", vaulttest.GatewayPolicy(t, "secret", "playgate"))
	role := server.AppRole("gateway", map[string]any{"token_policies": []string{"gateway"}, "token_ttl": "10m"})
	secretID := server.File("secret-id", server.SecretID("gateway"))
	return fmt.Sprintf(`
keystore:
  driver: vault
  vault: {address: %q, refresh_interval: 1s, auth: {method: approle, role_id: %q, secret_id_file: %q}}
`, server.Address, role, secretID)
}

// putKey writes a signing key into Vault.
func putKey(t *testing.T, client *api.Client, id, material, state string, activatedAt int) {
	t.Helper()
	_, err := client.KVv2("secret").Put(context.Background(), "playgate/acme/signing-keys/"+id, map[string]any{
		"private_key": material, "state": state, "activated_at": activatedAt,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMintingNeverStopsWhileAGoodKeyIsKnown takes a running gateway through
// everything that happens to a Vault, under load.
func TestMintingNeverStopsWhileAGoodKeyIsKnown(t *testing.T) {
	t.Parallel()
	server := vaulttest.Durable(t)
	w := newWorld(t, "", "acme")
	for name := range w.files {
		if strings.HasPrefix(name, "keys/") {
			delete(w.files, name)
		}
	}
	w.files["playgate.yaml"] = vaultStore(t, server) + w.files["playgate.yaml"]
	first, second := newKey(t), newKey(t)
	client := server.Client()
	putKey(t, client, "FIRST", first, "active", 1_700_000_000)

	g := start(t, w.files)
	keyID := func() string {
		var m minted
		must(t, http.MethodGet, g.url+"/v1/playback-ids/PIDacme/token", "", "Authorization", basic("tok-acme")).data(t, &m)
		return m.KeyID
	}
	published := func(id string) bool {
		r, err := call(http.MethodGet, g.url+"/v1/environments/acme/jwks.json", "")
		return err == nil && strings.Contains(string(r.body), `"`+id+`"`)
	}
	stop := load(g.url+"/v1/playback-ids/%s/token", "Authorization", basic("tok-acme"))

	// Rotation: prepared, then active; the old one retires.
	putKey(t, client, "SECOND", second, "prepared", 0)
	g.await("the prepared key", func() bool { return published("SECOND") })
	if got := keyID(); got != "FIRST" {
		t.Errorf("a prepared key signs: %s", got)
	}
	putKey(t, client, "SECOND", second, "active", 1_800_000_000)
	putKey(t, client, "FIRST", first, "retired", 1_700_000_000)
	g.await("the second key", func() bool { return keyID() == "SECOND" })

	// A soft delete withdraws; metadata says so, the version does not.
	kv := client.KVv2("secret")
	if err := kv.Delete(context.Background(), "playgate/acme/signing-keys/FIRST"); err != nil {
		t.Fatal(err)
	}
	g.await("the withdrawal", func() bool { return !published("FIRST") })
	if err := kv.Undelete(context.Background(), "playgate/acme/signing-keys/FIRST", []int{2}); err != nil {
		t.Fatal(err)
	}
	g.await("its return", func() bool { return published("FIRST") })
	if err := kv.Destroy(context.Background(), "playgate/acme/signing-keys/FIRST", []int{2}); err != nil {
		t.Fatal(err)
	}
	g.await("its destruction", func() bool { return !published("FIRST") })

	// Sealed, unsealed, killed, restarted: the last good key goes on signing.
	failures := func() bool {
		r, err := call(http.MethodGet, g.admin+"/metrics", "")
		return err == nil && strings.Contains(string(r.body), `playgate_keystore_refresh_total{driver="vault",result="unavailable"}`)
	}
	server.Seal()
	g.await("the failed readings", failures)
	if got := keyID(); got != "SECOND" {
		t.Errorf("sealed: key %s", got)
	}
	server.Unseal()
	server.Kill()
	outage := time.Now().Add(3 * time.Second)
	g.await("three seconds without Vault", func() bool { return keyID() == "SECOND" && time.Now().After(outage) })
	if got := status(g.admin + "/readyz"); got != http.StatusOK {
		t.Errorf("readyz while Vault is down = %d, want ready: keys are known", got)
	}
	server.Restart()
	server.Unseal()
	// Seen again: a new key arrives.
	third := newKey(t)
	client = server.Client()
	g.await("a key after the restart", func() bool {
		_, err := client.KVv2("secret").Put(context.Background(), "playgate/acme/signing-keys/THIRD", map[string]any{"private_key": third, "state": "prepared"})
		return err == nil
	})
	g.await("the third key", func() bool { return published("THIRD") })

	if answers, bad := stop(); bad != "" || answers < 100 {
		t.Errorf("%d good answers, then %s", answers, bad)
	}
	// A withdrawn active key signs nothing: 503, not an old token.
	if err := client.KVv2("secret").DeleteMetadata(context.Background(), "playgate/acme/signing-keys/SECOND"); err != nil {
		t.Fatal(err)
	}
	g.await("503 without a key", func() bool {
		r, err := call(http.MethodGet, g.url+"/v1/playback-ids/PIDacme/token", "", "Authorization", basic("tok-acme"))
		return err == nil && r.status == http.StatusServiceUnavailable && r.code() == "no_active_key" && r.header.Get("Retry-After") != ""
	})
}

// TestStartWithoutVault is a node that starts while Vault is away: live, not
// ready, saying why, and ready by itself later.
func TestStartWithoutVault(t *testing.T) {
	t.Parallel()
	server := vaulttest.Durable(t)
	w := newWorld(t, "", "acme")
	w.files["playgate.yaml"] = vaultStore(t, server) + w.files["playgate.yaml"]
	putKey(t, server.Client(), "ONLY", newKey(t), "active", 1_700_000_000)
	server.Kill()

	g := launch(t, w.files)
	r := must(t, http.MethodGet, g.admin+"/readyz", "")
	if r.status != http.StatusServiceUnavailable || !strings.Contains(string(r.body), "acme") {
		t.Errorf("readyz without Vault: %d %s", r.status, r.body)
	}
	if got := status(g.admin + "/livez"); got != http.StatusOK {
		t.Errorf("livez without Vault = %d", got)
	}
	token := must(t, http.MethodGet, g.url+"/v1/playback-ids/PIDacme/token", "", "Authorization", basic("tok-acme"))
	if token.status != http.StatusServiceUnavailable || token.code() != "no_active_key" {
		t.Errorf("token without Vault: %d %s", token.status, token.code())
	}
	server.Restart()
	server.Unseal()
	g.await("ready by itself", func() bool { return status(g.admin+"/readyz") == http.StatusOK })
}

// TestAGatewayReadsItsKeysThroughASocket in a process that is set up for another
// Vault, wrongly, and for a proxy that is not there.
func TestAGatewayReadsItsKeysThroughASocket(t *testing.T) {
	server := vaulttest.DevSocket(t)
	w := newWorld(t, "", "acme")
	store := strings.Replace(vaultStore(t, server), server.Address, server.Socket, 1)
	w.files["playgate.yaml"] = store + w.files["playgate.yaml"]
	putKey(t, server.Client(), "ONLY", newKey(t), "active", 1_700_000_000)
	for name, value := range map[string]string{
		"VAULT_CACERT": "/missing", "VAULT_SKIP_VERIFY": "maybe", "VAULT_ADDR": "https://127.0.0.1:1", "VAULT_TOKEN": "wrong", "VAULT_NAMESPACE": "wrong",
		"VAULT_PROXY_ADDR": "http://127.0.0.1:1", "VAULT_RATE_LIMIT": "none", "VAULT_MAX_RETRIES": "-1", "VAULT_CLIENT_TIMEOUT": "soon",
		"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	g := start(t, w.files)
	var m minted
	must(t, http.MethodGet, g.url+"/v1/playback-ids/PIDacme/token", "", "Authorization", basic("tok-acme")).data(t, &m)
	if m.KeyID != "ONLY" {
		t.Errorf("signed with %q", m.KeyID)
	}
	if status, _, errs := run(t, nil, "check-config", filepath.Join(g.dir, "playgate.yaml")); status != 0 || strings.Contains(errs, "cannot be read from here") {
		t.Errorf("check-config: status %d, %s", status, errs)
	}
}
