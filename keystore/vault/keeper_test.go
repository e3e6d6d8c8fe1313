package vault_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
	"github.com/playgate/playgate/playback"
)

// operatorPolicy returns the rules of deploy/vault for changing keys, below one
// prefix.
func operatorPolicy(t *testing.T, prefix, transit string) string {
	t.Helper()
	if transit == "" {
		return vaulttest.Rules(t, "operator-kv", "secret", prefix)
	}
	return strings.ReplaceAll(vaulttest.Rules(t, "operator-transit", "secret", prefix), `"transit/`, `"`+transit+"/")
}

// operator returns a rig whose token may change keys.
func (p *prefixes) operator(t *testing.T, transit string) *rig {
	t.Helper()
	return p.rig(t, func(r *rig) {
		name := r.prefix + "-operator"
		r.server.Policy(name, operatorPolicy(t, r.prefix, transit))
		r.useToken(&api.TokenCreateRequest{Policies: []string{name}})
		if transit != "" {
			r.config.Mode, r.config.TransitMount = vault.TransitMode, transit
		}
	})
}

// another returns a second source on the same prefix.
func (r *rig) another() *vault.Source {
	r.Helper()
	source, err := vault.New(r.config)
	r.check(err)
	r.Cleanup(func() { r.check(source.Close()) })
	return source
}

func keeping(t *testing.T, p *prefixes) {
	const transit = "transit-keeper"
	p.server.Transit(transit)
	for name, mount := range map[string]string{"kv": "", "transit": transit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keystoretest.RunKeeper(t, func(t *testing.T) (a, b keystore.Keeper) {
				t.Helper()
				r := p.operator(t, mount)
				return r.source, r.another()
			})
		})
	}
	t.Run("members that the gateway does not know stay", func(t *testing.T) {
		t.Parallel()
		r := p.operator(t, "")
		r.store("K1", map[string]any{"private_key": string(keystoretest.PEM(t, 1)), "state": "active", "retired_at": 7, "owner": "video"})
		r.check(r.source.Change(t.Context(), acme, "K1", func(l keystore.Life) (keystore.Life, error) { return l.Retire(time.Unix(1795425054, 0)) }))
		got, err := r.kv().Get(t.Context(), r.path(acme, "K1"))
		r.check(err)
		if got.Data["owner"] != "video" || got.Data["state"] != "retired" || got.Data["retired_at"] != "2026-11-23T09:10:54Z" {
			t.Errorf("the entry holds %v", got.Data)
		}
	})
	t.Run("a deleted version still takes the ID", func(t *testing.T) {
		t.Parallel()
		r := p.operator(t, "")
		r.store("K1", entry(t, 1, keystore.Active))
		r.check(r.kv().Delete(t.Context(), r.path(acme, "K1")))
		err := r.source.Create(t.Context(), acme, keystore.NewKey{ID: "K1", PEM: keystoretest.PEM(t, 2), Life: keystore.Life{State: keystore.Prepared}})
		if err == nil || !strings.Contains(err.Error(), "already") {
			t.Errorf("Create = %v, want ErrExists", err)
		}
		before := time.Now().Add(-time.Minute)
		if since, is, err := r.source.Withdrawn(t.Context(), acme, "K1"); !is || err != nil || since.Before(before) || since.After(time.Now().Add(time.Minute)) {
			t.Errorf("Withdrawn = %v, %v, %v", since, is, err)
		}
		r.check(r.kv().Destroy(t.Context(), r.path(acme, "K1"), []int{1}))
		if _, is, err := r.source.Withdrawn(t.Context(), acme, "K1"); !is || err != nil {
			t.Errorf("Withdrawn after its destruction = %v, %v", is, err)
		}
		r.check(r.source.Delete(t.Context(), acme, "K1"))
		if _, is, err := r.source.Withdrawn(t.Context(), acme, "K1"); is || err != nil {
			t.Errorf("Withdrawn after its deletion = %v, %v", is, err)
		}
		r.check(r.source.Create(t.Context(), acme, keystore.NewKey{ID: "K1", PEM: keystoretest.PEM(t, 2), Life: keystore.Life{State: keystore.Prepared}}))
	})
	t.Run("an answer that is lost does not make a key twice", lostAnswers(p))
	t.Run("the gateway's token changes nothing", func(t *testing.T) {
		t.Parallel()
		r := p.rig(t, nil)
		for _, err := range []error{
			r.source.Create(t.Context(), acme, keystore.NewKey{ID: "K1", PEM: keystoretest.PEM(t, 1), Life: keystore.Life{State: keystore.Prepared}}),
			r.source.OpenJournal(t.Context(), acme, keystore.Entry{Operation: "create"}),
			r.source.Delete(t.Context(), acme, "K1"),
		} {
			if err == nil || !strings.Contains(err.Error(), "permission denied") {
				t.Errorf("error %v, want one about the permission", err)
			}
		}
	})
}

// lostAnswers loses the answer of the first write, which the client repeats.
func lostAnswers(p *prefixes) func(*testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		r := p.operator(t, "")
		var lose atomic.Bool
		r.proxy.fail(func(w http.ResponseWriter, request *http.Request) bool {
			if request.Method != http.MethodPut && request.Method != http.MethodPost || !lose.CompareAndSwap(true, false) {
				return false
			}
			body, err := io.ReadAll(request.Body)
			r.check(err)
			again, err := http.NewRequestWithContext(t.Context(), request.Method, p.server.Address+request.URL.Path, strings.NewReader(string(body)))
			r.check(err)
			again.Header = request.Header.Clone()
			answer, err := http.DefaultTransport.RoundTrip(again)
			r.check(err)
			r.check(answer.Body.Close())
			w.WriteHeader(http.StatusBadGateway)
			return true
		})
		for name, do := range map[string]func() error{
			"Create": func() error {
				return r.source.Create(t.Context(), acme, keystore.NewKey{ID: "K1", PEM: keystoretest.PEM(t, 1), Life: keystore.Life{State: keystore.Prepared}})
			},
			"OpenJournal": func() error {
				return r.source.OpenJournal(t.Context(), playback.EnvironmentID("globex"), keystore.Entry{Operation: "create", Host: "h/1"})
			},
		} {
			lose.Store(true)
			if err := do(); err != nil {
				t.Errorf("%s = %v", name, err)
			}
			if lose.Load() {
				t.Errorf("%s: no answer was lost", name)
			}
		}
		lose.Store(true)
		r.check(r.source.Change(t.Context(), acme, "K1", func(l keystore.Life) (keystore.Life, error) { return l.Activate(time.Unix(1795425054, 0)) }))
		r.want("K1 active")
	}
}
