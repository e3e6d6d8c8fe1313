package grant_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/grant"
	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/postgres"
	"github.com/playgate/playgate/store/sqlite"
	"github.com/playgate/playgate/store/storetest"
)

// replica is a gateway, from the rules on, with a clock of its own.
type replica struct {
	holder *grant.Holder
	issuer *issuer.Issuer
	env    *issuer.Environment
}

func newReplica(t *testing.T, s store.Grants, clock time.Time) *replica {
	t.Helper()
	rules, err := policy.Compile([]byte(`
version: 1
rules:
  - {id: held, effect: allow, when: viewer.grants.size() > 0, grant: {ttl: 3h, types: [video, thumbnail]}}
`), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return clock }
	r := &replica{holder: grant.New(grant.Config{Store: s, Now: now})}
	r.issuer = issuer.New(issuer.Config{Keys: oneKey{}, Tokens: oneToken{}, Grants: r.holder, Now: now})
	r.env = &issuer.Environment{ID: acme, DefaultTTL: time.Hour, MaxTTL: 24 * time.Hour, Catalogue: films{}, Rules: rules, ReadsGrants: rules.ReadsGrants()}
	return r
}

func (r *replica) exp(ctx context.Context, id string) (int64, error) {
	answer, err := r.issuer.Issue(ctx, r.env, &issuer.Request{
		PlaybackID: "P1", Types: []playback.TokenType{playback.Video}, Client: &playback.Client{},
		Viewer: &playback.Viewer{Issuer: "main", ID: id, Authenticated: true},
	})
	if err != nil {
		return 0, err
	}
	return answer.Lifetime.Exp, nil
}

type oneKey struct{}

func (oneKey) Active(playback.EnvironmentID) (playback.KeyID, playback.Thumbprint, bool) {
	return "K1", playback.Thumbprint{1}, true
}

type oneToken struct{}

func (oneToken) Remembered(*playback.Claims, playback.Lifetime, time.Time) (playback.Token, bool) {
	return playback.Token{}, false
}

func (oneToken) Token(_ context.Context, c *playback.Claims, _ playback.Lifetime, _ playback.Turn) (playback.Token, bool, error) {
	return playback.NewToken(fmt.Sprint(c.Exp)), true, nil
}

type films struct{}

func (films) Lookup(playback.ID) (*playback.Object, bool)           { return film, true }
func (films) ByAsset(playback.AssetID) []*playback.Object           { return nil }
func (films) ByLiveStream(playback.LiveStreamID) []*playback.Object { return nil }

// TestARentalStartedOnTwoReplicasAtOnceHasOneWindow: every token that either
// hands out ends with the same window, although their clocks differ.
func TestARentalStartedOnTwoReplicasAtOnceHasOneWindow(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		dsn := storetest.StartPostgres(t).DSN() + "?pool_max_conns=4"
		open := func() store.Store {
			s, err := postgres.Open(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		oneWindow(t, open(), open(), 20)
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "playgate.db")
		open := func() store.Store {
			s, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		oneWindow(t, open(), open(), 10)
	})
}

func oneWindow(t *testing.T, a, b store.Grants, viewers int) {
	t.Helper()
	replicas := []*replica{newReplica(t, a, now), newReplica(t, b, now.Add(3*time.Second))}
	for n := range viewers {
		id := fmt.Sprintf("viewer-%d", n)
		put(t, replicas[0].holder, entitlement("rental-"+id, func(e *playback.Entitlement) {
			e.Viewer, e.Type, e.PlayWithin = id, playback.HeldRental, time.Hour
		}))
		const each = 4
		var wg sync.WaitGroup
		var exps [2 * each]int64
		var errs [2 * each]error
		for i := range exps {
			wg.Go(func() { exps[i], errs[i] = replicas[i%2].exp(t.Context(), id) })
		}
		wg.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		stored, err := replicas[1].holder.Get(t.Context(), acme, "rental-"+id)
		if err != nil || stored.FirstPlay.IsZero() {
			t.Fatalf("the first play of %s: %v, %v", id, stored.FirstPlay, err)
		}
		for i, exp := range exps {
			if want := stored.FirstPlay.Add(time.Hour).Unix(); exp != want {
				t.Errorf("%s: token %d ends at %d, the window at %d", id, i, exp, want)
			}
		}
	}
}

// TestARemovedGrantIsGoneOnEveryReplicaAtOnce, and a store that is restarted
// gives no wrong answer meanwhile: 503 or the truth.
func TestARemovedGrantIsGoneOnEveryReplicaAtOnce(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t)
	var replicas []*replica
	for range 2 {
		s, err := postgres.Open(t.Context(), server.DSN()+"?pool_max_conns=4")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		replicas = append(replicas, newReplica(t, s, now))
	}
	ask := func(r *replica, id string) playback.Code {
		_, err := r.exp(t.Context(), id)
		if refusal, ok := errors.AsType[*playback.Error](err); ok {
			return refusal.Code
		}
		return ""
	}
	put(t, replicas[0].holder, entitlement("g1", nil), entitlement("g2", func(e *playback.Entitlement) { e.Viewer = "u2" }))
	for _, r := range replicas {
		if code := ask(r, "u1"); code != "" {
			t.Fatalf("refused with %s", code)
		}
	}
	if err := replicas[0].holder.Delete(t.Context(), acme, "g1"); err != nil {
		t.Fatal(err)
	}
	for n, r := range replicas {
		if code := ask(r, "u1"); code != playback.CodeNoMatchingRule {
			t.Errorf("replica %d after the deletion: %q", n, code)
		}
	}

	// Under load, the server goes away and comes back.
	done := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[playback.Code]int{}
	for i := range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				holds, lacks := ask(replicas[i%2], "u2"), ask(replicas[i%2], "u1")
				mu.Lock()
				seen[holds]++
				mu.Unlock()
				if holds != "" && holds != playback.CodeDependencyUnavailable || lacks != playback.CodeNoMatchingRule && lacks != playback.CodeDependencyUnavailable {
					t.Errorf("wrong answers: %q for who holds a grant, %q for who does not", holds, lacks)
					return
				}
			}
		})
	}
	server.Kill()
	server.Start(t)
	wait(t, func() bool { return ask(replicas[0], "u2") == "" && ask(replicas[1], "u2") == "" })
	close(done)
	wg.Wait()
	if seen[""] == 0 {
		t.Errorf("answers %v", seen)
	}
}

func wait(t *testing.T, until func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if until() {
			return
		}
	}
	t.Error("it did not come to that in 30 s")
}
