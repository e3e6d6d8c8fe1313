package tokencache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tokencache"
)

// hangar is a cache whose signer waits until the test lets it go on.
type hangar struct {
	t        *testing.T
	mint     *mint
	cache    *tokencache.Cache
	registry *prometheus.Registry
	gate     chan error // what each signature answers
	running  sync.WaitGroup
}

func newHangar(t *testing.T) *hangar {
	t.Helper()
	h := &hangar{t: t, mint: &mint{}, registry: prometheus.NewRegistry(), gate: make(chan error)}
	h.mint.sign = func(ctx context.Context, _ *playback.Claims, _ playback.Turn) error {
		select {
		case err := <-h.gate:
			return err
		case <-ctx.Done():
			return playback.Errorf(playback.CodeSigningOverloaded, "gone").Because(ctx.Err())
		}
	}
	h.cache = tokencache.New(tokencache.Config{Signer: h.mint, Registerer: h.registry})
	return h
}

type answer struct {
	token playback.Token
	hit   bool
	err   error
	done  bool
}

// ask asks for PID1 in the background and waits until that waits.
func (h *hangar) ask(ctx context.Context, turn playback.Turn) *answer {
	a := &answer{}
	claims, life := claimsOf("PID1", 900, time.Now())
	h.running.Go(func() {
		a.token, a.hit, a.err = h.cache.Token(ctx, claims, life, turn)
		a.done = true
	})
	synctest.Wait()
	return a
}

func (h *hangar) stop() {
	h.running.Wait()
	h.cache.Stop()
}

func TestAHerdSharesOneSignature(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const herd = 10_000
		h := newHangar(t)
		claims, life := claimsOf("PID1", 900, time.Now())
		var wrong sync.Map
		for i := range herd {
			h.running.Go(func() {
				own := *claims
				token, hit, err := h.cache.Token(t.Context(), &own, life, playback.Turn{Caller: "u1"})
				if err != nil || hit || token != tokenOf(claims) {
					wrong.Store(i, err)
				}
			})
		}
		synctest.Wait()
		h.gate <- nil
		h.stop()
		wrong.Range(func(i, err any) bool { t.Errorf("caller %v: %v", i, err); return false })
		if got := len(h.mint.signed()); got != 1 {
			t.Errorf("%d signatures, want 1", got)
		}
		for result, want := range map[string]float64{"miss": 1, "coalesced": herd - 1, "hit": 0} {
			if got := metric(t, h.registry, "playgate_token_cache_total", result); got != want {
				t.Errorf("counted %v of %s, want %v", got, result, want)
			}
		}
	})
}

func TestHitsNeverWaitForMisses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHangar(t)
		h.cache = tokencache.New(tokencache.Config{Signer: h.mint, MaxEntries: 10}) // one shard
		a := h.ask(t.Context(), playback.Turn{})
		h.gate <- nil
		synctest.Wait()
		other, life := claimsOf("PID2", 900, time.Now())
		h.running.Go(func() { _, _, _ = h.cache.Token(t.Context(), other, life, playback.Turn{}) })
		synctest.Wait() // PID2 is being signed now, and stays so
		if b := h.ask(t.Context(), playback.Turn{}); a.err != nil || !b.done || !b.hit {
			t.Errorf("a hit beside a miss: %+v, %+v", a, b)
		}
		h.gate <- nil
		h.stop()
	})
}

func TestALeaderThatLeavesDoesNotCancelForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHangar(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		leader := h.ask(ctx, playback.Turn{Caller: "u1"})
		waiter := h.ask(t.Context(), playback.Turn{Caller: "u2"})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		var e *playback.Error
		if !leader.done || !errors.As(leader.err, &e) || e.Code != playback.CodeSigningOverloaded || e.RetryAfter != 3*time.Second || !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("the leader whose time ended: %v, %v", leader.done, leader.err)
		}
		if waiter.done {
			t.Errorf("the waiter was answered: %v", waiter.err)
		}
		h.gate <- nil
		h.stop()
		if waiter.err != nil || waiter.hit || len(h.mint.signed()) != 1 {
			t.Errorf("the waiter: %+v after %d signatures", waiter, len(h.mint.signed()))
		}
	})
}

func TestWaitersHonourTheirOwnContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHangar(t)
		leader := h.ask(t.Context(), playback.Turn{})
		ctx, cancel := context.WithCancel(t.Context())
		waiter := h.ask(ctx, playback.Turn{})
		cancel()
		synctest.Wait()
		if !waiter.done || !errors.Is(waiter.err, playback.CodeSigningOverloaded) || leader.done {
			t.Errorf("the waiter: %+v, the leader: %+v", waiter, leader)
		}
		h.gate <- nil
		h.stop()
		if leader.err != nil {
			t.Errorf("the leader: %v", leader.err)
		}
	})
}

func TestASignatureForWhichNobodyWaitsIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHangar(t)
		ctx, cancel := context.WithCancel(t.Context())
		h.ask(ctx, playback.Turn{})
		h.ask(ctx, playback.Turn{})
		cancel()
		synctest.Wait() // the signer has seen the end of its context, or stop would hang
		next := h.ask(t.Context(), playback.Turn{})
		h.gate <- nil
		h.stop()
		if next.err != nil || len(h.mint.signed()) != 2 {
			t.Errorf("the next request: %v after %d signatures", next.err, len(h.mint.signed()))
		}
	})
}

func TestWaitersDoNotInheritTheLeadersOwnFailure(t *testing.T) {
	t.Parallel()
	own := playback.Errorf(playback.CodeSigningOverloaded, "held").Because(ownError{})
	synctest.Test(t, func(t *testing.T) {
		h := newHangar(t)
		leader := h.ask(t.Context(), playback.Turn{Caller: "u1"})
		same := h.ask(t.Context(), playback.Turn{Caller: "u1"})
		patient := h.ask(t.Context(), playback.Turn{Caller: "u1", Patient: true})
		others := []*answer{h.ask(t.Context(), playback.Turn{Caller: "u2"}), h.ask(t.Context(), playback.Turn{Caller: "u3"})}
		h.gate <- own
		synctest.Wait()
		for name, a := range map[string]*answer{"leader": leader, "same caller": same} {
			if !a.done || !errors.Is(a.err, playback.CodeSigningOverloaded) {
				t.Errorf("the %s: %+v, want the refusal", name, a)
			}
		}
		h.gate <- nil // of the one that was elected
		h.stop()
		for i, a := range append(others, patient) {
			if a.err != nil {
				t.Errorf("waiter %d inherited: %v", i, a.err)
			}
		}
		if got := len(h.mint.signed()); got != 2 {
			t.Errorf("%d signatures, want 2", got)
		}
	})
}

func TestRealFailuresAreSharedAndNotRemembered(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{
		playback.Errorf(playback.CodeSigningOverloaded, "full").After(time.Second),
		playback.Errorf(playback.CodeNoActiveKey, "none"),
		errors.New("a bug"),
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHangar(t)
			all := []*answer{h.ask(t.Context(), playback.Turn{Caller: "u1"}), h.ask(t.Context(), playback.Turn{Caller: "u2"}), h.ask(t.Context(), playback.Turn{Caller: "u3", Patient: true})}
			h.gate <- failure
			h.running.Wait()
			for i, a := range all {
				if !errors.Is(a.err, failure) || a.hit || a.token.Len() != 0 {
					t.Errorf("caller %d: %+v, want %v", i, a, failure)
				}
			}
			next := h.ask(t.Context(), playback.Turn{})
			h.gate <- nil
			h.stop()
			if got := len(h.mint.signed()); got != 2 || next.err != nil {
				t.Errorf("%d signatures, then %v", got, next.err)
			}
		})
	}
}

func TestASignerThatPanicsFailsOneToken(t *testing.T) {
	t.Parallel()
	bug := func() { panic("a bug") }
	for name, test := range map[string]struct {
		mint *mint
		turn playback.Turn
	}{
		"when it starts":    {&mint{start: bug}, playback.Turn{}},
		"while it is asked": {&mint{sign: func(context.Context, *playback.Claims, playback.Turn) error { bug(); return nil }}, playback.Turn{Patient: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tokencache.New(tokencache.Config{Signer: test.mint})
			t.Cleanup(c.Stop)
			claims, life := claimsOf("PID1", 900, time.Now())
			if _, _, err := c.Token(t.Context(), claims, life, test.turn); !errors.Is(err, playback.CodeInternalError) {
				t.Errorf("Token = %v, want internal_error", err)
			}
			test.mint.mu.Lock()
			test.mint.sign, test.mint.start = nil, nil
			test.mint.mu.Unlock()
			if ask(t, c, "PID1", 900) {
				t.Error("a failure was remembered")
			}
		})
	}
}

func TestStopEndsWhatIsBeingSigned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHangar(t)
		h.cache.Start()
		a := h.ask(t.Context(), playback.Turn{})
		h.gate <- nil
		h.running.Wait()
		claims, life := claimsOf("PID2", 900, time.Now())
		waits := &answer{}
		h.running.Go(func() { waits.token, waits.hit, waits.err = h.cache.Token(t.Context(), claims, life, playback.Turn{}) })
		synctest.Wait()
		h.cache.Stop()
		h.cache.Stop()
		h.running.Wait()
		if a.err != nil || !errors.Is(waits.err, playback.CodeSigningOverloaded) {
			t.Errorf("answers %v, %v", a.err, waits.err)
		}
		if hit := h.ask(t.Context(), playback.Turn{}); !hit.hit {
			t.Errorf("a hit after Stop: %+v", hit)
		}
		if _, _, err := h.cache.Token(t.Context(), claims, life, playback.Turn{}); !errors.Is(err, playback.CodeSigningOverloaded) {
			t.Errorf("a miss after Stop: %v", err)
		}
		h.cache.Start() // too late, and harmless
	})
}
