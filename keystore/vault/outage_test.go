package vault_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
	"github.com/playgate/playgate/playback"
)

// gateway is what the product runs: a Watcher on a Vault.
type gateway struct {
	*rig
	watcher  *keystore.Watcher
	registry *prometheus.Registry
}

func newGateway(t *testing.T, server *vaulttest.Server) *gateway {
	t.Helper()
	r := (&prefixes{server: server}).rig(t, func(r *rig) {
		r.useAppRole(nil)
		r.config.Timeout = 2 * time.Second
		r.config.RelogInAfter = time.Millisecond
	})
	g := &gateway{rig: r, registry: prometheus.NewRegistry()}
	g.watcher = keystore.NewWatcher(keystore.Config{
		Source: r.source, Driver: "vault", Interval: 100 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler), Registerer: g.registry,
	})
	g.watcher.SetEnvironments([]playback.EnvironmentID{acme})
	t.Cleanup(g.watcher.Stop)
	return g
}

// active returns the ID of the key that signs now, "" if there is none.
func (g *gateway) active() playback.KeyID {
	key, ok := g.watcher.Keyset(acme).Active()
	if !ok {
		return ""
	}
	return key.ID
}

// refreshes returns how often reading has come to a result.
func (g *gateway) refreshes(result string) float64 {
	g.Helper()
	families, err := g.registry.Gather()
	g.check(err)
	for _, family := range families {
		if family.GetName() != "playgate_keystore_refresh_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetValue() == result {
					return metric.GetCounter().GetValue()
				}
			}
		}
	}
	g.Fatal("no such metric")
	return 0
}

// outlasts checks that K1 goes on signing while every reading fails.
func (g *gateway) outlasts(what string) {
	g.Helper()
	before := g.refreshes("unavailable")
	g.eventually("three failed readings: "+what, func() bool {
		if got := g.active(); got != "K1" {
			g.Fatalf("%s: %q signs, want K1", what, got)
		}
		return g.refreshes("unavailable") >= before+3
	})
}

// recovers checks that readings succeed again, and K1 never stops signing.
func (g *gateway) recovers(what string) {
	g.Helper()
	before := g.refreshes("ok")
	g.eventually("two good readings: "+what, func() bool {
		if got := g.active(); got != "K1" {
			g.Fatalf("%s: %q signs, want K1", what, got)
		}
		return g.refreshes("ok") >= before+2
	})
}

func (g *gateway) switches(what string, id playback.KeyID) {
	g.Helper()
	g.eventually(what, func() bool { return g.active() == id })
}

func TestAGoodKeyOutlastsEveryOutage(t *testing.T) {
	t.Parallel()
	server := vaulttest.Durable(t)
	g := newGateway(t, server)
	g.store("K1", entry(t, 1, keystore.Active))
	g.check(g.watcher.Start(t.Context()))
	if got := g.active(); got != "K1" {
		t.Fatalf("%q signs after the start", got)
	}

	server.Seal()
	g.outlasts("sealed")
	server.Unseal()
	g.recovers("unsealed")

	server.Kill()
	g.outlasts("killed")
	server.Restart()
	g.outlasts("restarted, but sealed")
	server.Unseal()
	g.recovers("restarted and unsealed")

	g.revokeAll()
	g.recovers("the token was revoked")
	g.logIns(2)

	server.Policy(g.prefix, `path "unrelated" { capabilities = ["read"] }`)
	g.outlasts("the policy lost its rules")
	g.policy()
	g.recovers("the policy is back")

	// Through all that it has not lost sight: it rotates, and withdraws.
	g.store("K2", entry(t, 2, keystore.Prepared))
	g.store("K2", map[string]any{"private_key": string(keystoretest.PEM(t, 2)), "state": "active", "activated_at": 1795425054})
	g.switches("K2 takes over", "K2")
	g.store("K1", entry(t, 1, keystore.Retired))
	g.store("K3", map[string]any{"private_key": string(keystoretest.PEM(t, 3))})
	g.store("K4", map[string]any{"private_key": string(keystoretest.PEM(t, 4))})
	before := g.refreshes("rejected")
	g.eventually("two keys without a state are rejected", func() bool { return g.refreshes("rejected") >= before+2 })
	if got := g.active(); got != "K2" {
		t.Errorf("%q signs beside contradicting keys, want K2", got)
	}
	g.check(g.kv().DeleteMetadata(t.Context(), g.path(acme, "K3")))
	g.check(g.kv().DeleteMetadata(t.Context(), g.path(acme, "K4")))
	g.check(g.kv().Delete(t.Context(), g.path(acme, "K2")))
	g.switches("K2 is withdrawn and nothing signs", "")
	g.check(g.kv().Undelete(t.Context(), g.path(acme, "K2"), []int{2}))
	g.switches("K2 is back", "K2")
}

func TestTheGatewayStartsBeforeVaultDoes(t *testing.T) {
	t.Parallel()
	server := vaulttest.Durable(t)
	g := newGateway(t, server)
	g.store("K1", entry(t, 1, keystore.Active))
	server.Kill()

	g.check(g.watcher.Start(t.Context()))
	if !g.watcher.Tried(acme) || g.active() != "" {
		t.Fatal("tried, and without a key, is what it should be")
	}
	server.Restart()
	server.Unseal()
	g.forward(time.Minute) // past the backoff of log-ins
	g.switches("Vault came up", "K1")
}

func TestVaultIsSafeToUseWhileItIsGone(t *testing.T) {
	t.Parallel()
	source, err := vault.New(vault.Config{
		Address: "http://127.0.0.1:1", Mount: "secret", Logger: slog.New(slog.DiscardHandler),
		Auth: vault.Auth{Method: vault.AppRoleMethod, RoleID: "r"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, _, err := source.Load(t.Context(), acme); err == nil {
			t.Error("Load succeeded")
		}
	}
	if err := source.Close(); err != nil {
		t.Error(err)
	}
}
