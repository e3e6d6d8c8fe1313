package tokencache_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
	"github.com/playgate/playgate/tokencache"
)

// gated is crypto/rsa behind a gate.
type gated struct {
	signer.Backend
	mu   sync.Mutex
	gate chan struct{}
}

func (g *gated) Sign(work []signer.Work) {
	g.mu.Lock()
	gate := g.gate
	g.mu.Unlock()
	if gate != nil {
		<-gate
	}
	g.Backend.Sign(work)
}

// TestCacheAndPoolAgreeOnWhatIsACallersOwnFailure holds the two rooms, which
// do not know each other, together: a caller that holds its share of the queue
// is refused, and another who waited for the same token gets it.
func TestCacheAndPoolAgreeOnWhatIsACallersOwnFailure(t *testing.T) {
	t.Parallel()
	backend, err := signer.OpenBackend(signer.BackendGo, nil)
	if err != nil {
		t.Fatal(err)
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := &keystore.Key{ID: "K1", State: keystore.Active, Private: private, Thumbprint: keystore.ThumbprintOf(&private.PublicKey)}
	synctest.Test(t, func(t *testing.T) {
		g := &gated{Backend: backend}
		ring := signer.NewRing(signer.RingConfig{Backend: g})
		ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{"acme": {Keys: []*keystore.Key{key}}}))
		pool := signer.NewPool(signer.Config{Ring: ring, Concurrency: 1, Queue: 8}) // a share is one place
		cache := tokencache.New(tokencache.Config{Signer: pool})
		cache.Start()
		g.mu.Lock()
		g.gate = make(chan struct{})
		g.mu.Unlock()
		var running sync.WaitGroup
		errs := make([]error, 5)
		ask := func(n int, sub string, turn playback.Turn) {
			claims, life := claimsOf(sub, 900, time.Now())
			claims.Thumbprint = key.Thumbprint
			running.Go(func() { _, _, errs[n] = cache.Token(t.Context(), claims, life, turn) })
			synctest.Wait()
		}
		ask(0, "PID1", playback.Turn{Caller: "u1"})
		ask(1, "PID2", playback.Turn{Caller: "u1", Patient: true}) // waits for its share
		ask(2, "PID3", playback.Turn{Caller: "u1"})                // is refused at once
		ask(3, "PID2", playback.Turn{Caller: "u2"})                // waits with the patient one
		ask(4, "PID3", playback.Turn{Caller: "u2"})
		close(g.gate)
		running.Wait()
		for n, want := range []error{nil, nil, playback.CodeSigningOverloaded, nil, nil} {
			if !errors.Is(errs[n], want) {
				t.Errorf("request %d: %v, want %v", n, errs[n], want)
			}
		}
		cache.Stop()
		pool.Stop()
	})
}

// TestARotationHandsNothingOutUnderTheNewKeyBeforeItIsActive runs both rooms
// with real keys and checks every token that anybody gets.
func TestARotationHandsNothingOutUnderTheNewKeyBeforeItIsActive(t *testing.T) {
	t.Parallel()
	backend, err := signer.OpenBackend(signer.BackendGo, nil)
	if err != nil {
		t.Fatal(err)
	}
	ring := signer.NewRing(signer.RingConfig{Backend: backend})
	pool := signer.NewPool(signer.Config{Ring: ring})
	t.Cleanup(pool.Stop)
	registry := prometheus.NewRegistry()
	cache := tokencache.New(tokencache.Config{Signer: pool, Registerer: registry})
	cache.Start()
	t.Cleanup(cache.Stop)
	keys := []*keystore.Key{newKey(t, "K1"), newKey(t, "K2")}
	update := func(states ...keystore.State) {
		var set keystore.Keyset
		for i, state := range states {
			key := *keys[i]
			key.State = state
			set.Keys = append(set.Keys, &key)
		}
		ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{"acme": set}))
		r := tokencache.Rotation{Environment: "acme", Activation: time.Now().Add(time.Minute)}
		r.Active.ID, r.Active.Thumbprint, _ = ring.Active("acme")
		r.Prepared.ID, r.Prepared.Thumbprint, _ = ring.Prepared("acme")
		cache.SetRotation(r)
	}
	const tokens = 20
	everybody := func(want playback.KeyID) (misses int) {
		t.Helper()
		for i := range tokens {
			claims, life := claimsOf(fmt.Sprint("PID", i), 86400, time.Now())
			claims.Key, claims.Thumbprint, _ = ring.Active("acme")
			token, hit, err := cache.Token(t.Context(), claims, life, playback.Turn{Caller: "u1"})
			if err != nil {
				t.Fatal(err)
			}
			if !hit {
				misses++
			}
			public := signer.PublicKeys{want: ring.PublicKeys("acme")[want]}
			if v := signer.Verify(token.Reveal(), public, time.Now()); !v.Valid {
				t.Errorf("PID%d: not a token of %s: %s", i, want, v.Detail)
			}
		}
		return misses
	}
	update(keystore.Active)
	everybody("K1")
	update(keystore.Active, keystore.Prepared)
	deadline := time.Now().Add(time.Minute)
	for metric(t, registry, "playgate_token_cache_presigned_total", "signed") < tokens {
		if misses := everybody("K1"); misses > 0 || time.Now().After(deadline) {
			t.Fatalf("%d misses, %v signed ahead", misses, metric(t, registry, "playgate_token_cache_presigned_total", "signed"))
		}
	}
	everybody("K1")
	update(keystore.Retired, keystore.Active)
	if misses := everybody("K2"); misses > 0 {
		t.Errorf("%d misses after the switch, want none", misses)
	}
}

func newKey(t *testing.T, id playback.KeyID) *keystore.Key {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &keystore.Key{ID: id, Private: private, Thumbprint: keystore.ThumbprintOf(&private.PublicKey)}
}
