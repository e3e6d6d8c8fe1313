package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tokencache"
)

// minute is L of the tokens of these tests: G is 15 s, its last fifth 3 s.
const minute = 60

// nursery is a running cache, to be used in a bubble.
type nursery struct {
	t        *testing.T
	mint     *mint
	cache    *tokencache.Cache
	registry *prometheus.Registry
	term     int64 // L of what askUnder asks for, seconds
}

func newNursery(t *testing.T, cfg tokencache.Config) *nursery {
	t.Helper()
	n := &nursery{t: t, mint: &mint{}, registry: prometheus.NewRegistry()}
	cfg.Signer, cfg.Registerer = n.mint, n.registry
	n.cache = tokencache.New(cfg)
	n.cache.Start()
	return n
}

// ahead returns the signatures that were made ahead.
func (n *nursery) ahead() []call {
	synctest.Wait()
	var out []call
	for _, c := range n.mint.signed() {
		if c.turn.Ahead {
			out = append(out, c)
		}
	}
	return out
}

// until sleeps to a moment before or after a token's rollover: the last moment
// at which its exp is asked for.
func (n *nursery) until(exp int64, offset time.Duration) {
	time.Sleep(time.Until(time.Unix(exp-minute, 0).Add(offset)))
	synctest.Wait()
}

func (n *nursery) refreshed(result string, want float64) {
	n.t.Helper()
	synctest.Wait()
	if got := metric(n.t, n.registry, "playgate_token_cache_refresh_total", result); got != want {
		n.t.Errorf("counted %v of %s, want %v", got, result, want)
	}
}

// use asks twice, so that a token is in use, and returns its exp.
func (n *nursery) use(sub string) int64 {
	n.t.Helper()
	claims, _ := claimsOf(sub, minute, time.Now())
	ask(n.t, n.cache, sub, minute)
	if !ask(n.t, n.cache, sub, minute) {
		n.t.Errorf("%s was not remembered", sub)
	}
	return claims.Exp
}

func TestATokenInUseIsSignedAheadInTheLastFifthOfG(t *testing.T) {
	t.Parallel()
	for _, r := range []float64{0, 0.25, 0.5, 0.999} {
		synctest.Test(t, func(t *testing.T) {
			n := newNursery(t, tokencache.Config{Rand: func() float64 { return r }})
			exp := n.use("PID1")
			n.until(exp, -3*time.Second-time.Millisecond)
			if got := n.ahead(); len(got) != 0 {
				t.Fatalf("signed before the last fifth of g: %+v", got)
			}
			n.until(exp, -time.Millisecond)
			got := n.ahead()
			if len(got) != 1 || got[0].exp != exp+minute/4 || got[0].turn != (playback.Turn{Ahead: true}) {
				t.Fatalf("signed ahead %+v, want one for %d", got, exp+minute/4)
			}
			want := time.Unix(exp-minute-3, 0).Add(time.Duration(r * float64(2*time.Second))) // the last second is slack
			if late := got[0].at.Sub(want); late < 0 || late > time.Millisecond {
				t.Errorf("signed %v after the moment that was drawn", late)
			}
			n.until(exp, time.Millisecond)
			if !ask(t, n.cache, "PID1", minute) {
				t.Error("the request at rollover is a miss")
			}
			n.refreshed("signed", 1)
			n.cache.Stop()
		})
	}
}

func TestAHotTokenIsNeverSignedOnTheRequestPath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNursery(t, tokencache.Config{})
		n.use("PID1")
		for range 600 {
			time.Sleep(time.Second)
			if !ask(t, n.cache, "PID1", minute) {
				t.Fatal("a hot token was a miss")
			}
		}
		if got := len(n.mint.signed()); got < 40 || got > 42 { // one each 15 s
			t.Errorf("%d signatures in ten minutes, want 41", got)
		}
		n.cache.Stop()
	})
}

func TestIdleTokensDieOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNursery(t, tokencache.Config{})
		n.use("USED ONCE MORE")
		ask(t, n.cache, "NEVER AGAIN", minute)
		time.Sleep(10 * time.Minute)
		if got := n.ahead(); len(got) != 1 {
			t.Errorf("signed ahead %+v, want one and then no more", got)
		}
		n.cache.Stop()
	})
}

func TestATokenThatComesIntoUseLateIsStillSignedAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNursery(t, tokencache.Config{Rand: func() float64 { return 0.5 }})
		ask(t, n.cache, "PID1", minute)
		claims, _ := claimsOf("PID1", minute, time.Now())
		n.until(claims.Exp, -time.Second)
		ask(t, n.cache, "PID1", minute)
		n.until(claims.Exp, -time.Millisecond)
		if got := n.ahead(); len(got) != 1 || time.Until(got[0].at) > 0 || got[0].at.Before(time.Unix(claims.Exp-minute-1, 2.5e8)) {
			t.Errorf("signed ahead %+v, want three quarters of a second before the end", got)
		}
		n.cache.Stop()
	})
}

func TestNothingIsSignedAheadWhereAnAbsoluteEndForbidsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNursery(t, tokencache.Config{})
		claims, life := claimsOf("PID1", minute, time.Now())
		life = life.CutAt(life.Exp - 1)
		claims.Exp = life.Exp
		for range 3 {
			if _, _, err := n.cache.Token(t.Context(), claims, life, playback.Turn{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		if got := n.ahead(); len(got) != 0 {
			t.Errorf("signed ahead %+v", got)
		}
		n.cache.Stop()
	})
}

func TestNothingIsSignedAheadForWhatFellOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNursery(t, tokencache.Config{MaxEntries: 2})
		n.use("PID1")
		ask(t, n.cache, "PID2", minute)
		ask(t, n.cache, "PID3", minute)
		time.Sleep(time.Hour)
		if got := n.ahead(); len(got) != 0 {
			t.Errorf("signed ahead %+v", got)
		}
		n.refreshed("evicted", 0) // its plan went with it
		n.cache.Stop()
	})
}

func TestNothingIsSignedAheadThatIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNursery(t, tokencache.Config{})
		exp := n.use("PID1")
		claims, life := claimsOf("PID1", minute, time.Unix(exp-minute+1, 0)) // as another replica's clock might
		if _, _, err := n.cache.Token(t.Context(), claims, life, playback.Turn{}); err != nil {
			t.Fatal(err)
		}
		n.until(exp, 0)
		if got := n.ahead(); len(got) != 0 {
			t.Errorf("signed ahead %+v", got)
		}
		n.refreshed("present", 1)
		n.cache.Stop()
	})
}

func TestWhatComesOfARefreshIsCounted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, "signed"},
		{playback.Errorf(playback.CodeNoActiveKey, "the key does not sign any more"), "no_active_key"},
		{playback.Errorf(playback.CodeSigningOverloaded, "the line is full"), "dropped"},
		{errors.New("a bug"), "failed"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNursery(t, tokencache.Config{})
			exp := n.use("PID1")
			n.mint.mu.Lock()
			n.mint.sign = func(context.Context, *playback.Claims, playback.Turn) error { return test.err }
			n.mint.mu.Unlock()
			n.until(exp, 0)
			n.refreshed(test.want, 1)
			if got := len(n.ahead()); got != 1 {
				t.Errorf("tried %d times, want once", got)
			}
			n.mint.mu.Lock()
			n.mint.sign = nil
			n.mint.mu.Unlock()
			n.until(exp, time.Millisecond)
			if hit := ask(t, n.cache, "PID1", minute); hit != (test.err == nil) {
				t.Errorf("at rollover: hit is %v after %v", hit, test.err)
			}
			n.cache.Stop()
		})
	}
}

func TestARequestOvertakesARefreshThatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNursery(t, tokencache.Config{})
		exp := n.use("PID1")
		n.mint.mu.Lock()
		n.mint.sign = func(ctx context.Context, _ *playback.Claims, turn playback.Turn) error {
			if !turn.Ahead {
				return nil
			}
			<-ctx.Done() // no worker has time for it
			return playback.Errorf(playback.CodeSigningOverloaded, "gone").Because(ctx.Err())
		}
		n.mint.mu.Unlock()
		n.until(exp, -time.Nanosecond)
		if got := n.ahead(); len(got) != 1 {
			t.Fatalf("signed ahead %+v, want one that waits", got)
		}
		claims, life := claimsOf("PID1", minute, time.Unix(exp-minute+1, 0)) // as another replica's clock might
		if _, hit, err := n.cache.Token(t.Context(), claims, life, playback.Turn{Caller: "u1"}); hit || err != nil {
			t.Errorf("a request beside a refresh: hit is %v, %v", hit, err)
		}
		n.refreshed("dropped", 1)
		n.cache.Stop()
	})
}

func TestARefreshThatWaitsTooLongIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNursery(t, tokencache.Config{})
		time.Sleep(time.Millisecond) // not at a rollover, when there is nothing left to plan
		const tokens = 100           // more than are refreshed at once
		var last int64
		for i := range tokens {
			last = max(last, n.use(fmt.Sprint("PID", i)))
		}
		n.mint.mu.Lock()
		n.mint.sign = func(ctx context.Context, _ *playback.Claims, _ playback.Turn) error {
			<-ctx.Done()
			return playback.Errorf(playback.CodeSigningOverloaded, "gone").Because(ctx.Err())
		}
		n.mint.mu.Unlock()
		n.until(last, time.Second)
		dropped := metric(t, n.registry, "playgate_token_cache_refresh_total", "dropped")
		late := metric(t, n.registry, "playgate_token_cache_refresh_total", "late")
		if dropped+late != tokens || dropped == 0 {
			t.Errorf("%v dropped and %v late, want %d in all", dropped, late, tokens)
		}
		n.cache.Stop() // does not hang
	})
}

func TestShortLivedTokensAreSignedAheadToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNursery(t, tokencache.Config{})
		time.Sleep(10 * time.Millisecond)
		for range 50 { // L is a second, g is one, its last fifth 200 ms
			ask(t, n.cache, "PID1", 1)
			time.Sleep(100 * time.Millisecond)
		}
		if got := len(n.ahead()); got < 4 || got > 6 {
			t.Errorf("%d signed ahead in five seconds, want 5", got)
		}
		n.cache.Stop()
	})
}

func TestACacheThatWasNotStartedPlansNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &mint{}
		c := tokencache.New(tokencache.Config{Signer: m})
		for range 3 {
			ask(t, c, "PID1", minute)
		}
		time.Sleep(time.Hour)
		if got := len(m.signed()); got != 1 {
			t.Errorf("%d signatures, want 1", got)
		}
		c.Stop()
	})
}
