package vault_test

import (
	"testing"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
	"github.com/playgate/playgate/playback"
)

// TestVault runs everything that one shared server can serve. What seals or
// kills a server is in outage_test.go.
func TestVault(t *testing.T) {
	t.Parallel()
	p := &prefixes{server: vaulttest.Dev(t)}
	p.server.Transit("transit")
	for name, test := range map[string]func(*testing.T, *prefixes){
		"conformance":    conformance,
		"changes":        changes,
		"keeping":        keeping,
		"mounts":         mounts,
		"authentication": authentication,
		"methods":        methods,
		"transit":        transits,
		"faults":         faults,
		"etiquette":      etiquette,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

func conformance(t *testing.T, p *prefixes) {
	keystoretest.Run(t, func(t *testing.T) *keystoretest.Harness {
		t.Helper()
		r := p.rig(t, nil)
		return &keystoretest.Harness{
			Source: r.source,
			Put: func(t testing.TB, env playback.EnvironmentID, id playback.KeyID, entry keystoretest.Entry) {
				t.Helper()
				members := map[string]any{"private_key": string(entry.Material)}
				if entry.State != keystore.Stateless {
					members["state"] = string(entry.State)
				}
				if !entry.CreatedAt.IsZero() {
					members["created_at"] = entry.CreatedAt.Unix()
				}
				if !entry.ActivatedAt.IsZero() {
					members["activated_at"] = entry.ActivatedAt.Unix()
				}
				if !entry.RetiredAt.IsZero() {
					members["retired_at"] = entry.RetiredAt.Unix()
				}
				if _, err := r.kv().Put(t.Context(), r.path(env, id), members); err != nil {
					t.Fatal(err)
				}
			},
			Remove: func(t testing.TB, env playback.EnvironmentID, id playback.KeyID) {
				t.Helper()
				if err := r.kv().Delete(t.Context(), r.path(env, id)); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}
