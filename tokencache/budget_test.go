package tokencache_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tokencache"
)

// wave is tokens of one playback ID, each for one viewer: they all roll over in
// the same second.
type wave struct {
	*nursery
	size int
}

// newWave starts at a rollover, with a budget of so many signatures a second:
// L is 400 s, G 100 s, its last fifth 20 s.
func newWave(t *testing.T, size int, rate int64) *wave {
	t.Helper()
	w := &wave{newNursery(t, tokencache.Config{MaxEntries: 1 << 20, MaxBytes: 1 << 30}), size}
	w.mint.rate.Store(rate)
	w.term = 400
	w.nextRollover()
	return w
}

// nextRollover sleeps until just after the next one.
func (w *wave) nextRollover() {
	_, life := claimsOf("LIVE", w.term, time.Now())
	time.Sleep(time.Until(time.Unix(life.Exp-life.L, 0)) + time.Millisecond)
	synctest.Wait()
}

// misses asks for all tokens of the wave, and returns who had to wait.
func (w *wave) misses() (who []int) {
	w.t.Helper()
	for i := range w.size {
		claims, life := claimsOf("LIVE", w.term, time.Now())
		claims.Custom = fmt.Sprintf(`{"viewer":"%d"}`, i)
		token, hit, err := w.cache.Token(w.t.Context(), claims, life, playback.Turn{Caller: "u1"})
		if err != nil || token != tokenOf(claims) {
			w.t.Errorf("viewer %d: the token of other claims, or %v", i, err)
		}
		if !hit {
			who = append(who, i)
		}
	}
	return who
}

// busiest returns how many were signed ahead in the busiest second.
func (w *wave) busiest() int {
	calls, most, first := w.ahead(), 0, 0
	for i := range calls {
		for calls[i].at.Sub(calls[first].at) > time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func TestAWaveThatTheBudgetAllowsIsSignedBeforeItRollsOver(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ size, rate int }{
		{100, 25},  // fits into the last fifth of G by far
		{480, 25},  // fills it
		{1500, 25}, // takes 60 s: it must begin 40 s earlier
		{2100, 25}, // takes nearly all of G
		{20_000, 1000},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWave(t, test.size, int64(test.rate))
			w.misses()
			if who := w.misses(); len(who) > 0 {
				t.Fatalf("%d of %d were not remembered", len(who), test.size)
			}
			w.nextRollover()
			if who := w.misses(); len(who) > 0 {
				t.Errorf("%d of a wave of %d are signed on the request path at %d a second", len(who), test.size, test.rate)
			}
			if most := test.rate + test.rate/10 + 1; w.busiest() > most {
				t.Errorf("%d were signed ahead in one second, want at most %d", w.busiest(), most)
			}
			w.cache.Stop()
		})
	}
}

func TestOnAFullMachineAWaveBeginsEarlier(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size, rate, reached = 600, 25, 10 // so many a second are paid for, and so many are signed
		w := newWave(t, size, rate)
		w.mint.pace.Store(int64(time.Duration(runtime.GOMAXPROCS(0)) * time.Second / (2 * reached)))
		w.misses()
		w.misses()
		w.nextRollover()
		if who := w.misses(); len(who) > 0 {
			t.Errorf("%d of %d are signed on the request path", len(who), size)
		}
		if most := 2 * reached; w.busiest() > most { // of two neighbours, each booked for so many
			t.Errorf("%d were signed ahead in one second, want at most %d", w.busiest(), most)
		}
		w.cache.Stop()
	})
}

func TestOfAWaveBeyondTheBudgetTheHottestAreSigned(t *testing.T) {
	t.Parallel()
	const size, rate, fits = 5000, 25, 22 * 99 // so many of each second of G but the last
	synctest.Test(t, func(t *testing.T) {
		w := newWave(t, size, rate)
		w.misses()
		w.misses()
		w.nextRollover()
		who := w.misses()
		// What is booked for this very second leaves its place to another.
		if len(who) > size-fits || len(who) < size-fits-rate || who[0] < fits {
			t.Errorf("%d misses from viewer %d on, want %d from %d on", len(who), who[0], size-fits, fits)
		}
		if got := metric(t, w.registry, "playgate_token_cache_refresh_total", "over_budget"); got < float64(len(who)-rate) || got > float64(len(who)+rate) {
			t.Errorf("%v counted as over the budget, %d were not signed", got, len(who))
		}
		w.cache.Stop()
	})
}

func TestASmallWaveIsNotSignedBeforeTheLastFifthOfG(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWave(t, 300, 25)
		w.misses()
		w.misses()
		time.Sleep(78 * time.Second) // two seconds are left for what chance put too close together
		if got := len(w.ahead()); got > 0 {
			t.Errorf("%d were signed early", got)
		}
		w.nextRollover()
		if who := w.misses(); len(who) > 0 {
			t.Errorf("%d misses", len(who))
		}
		w.cache.Stop()
	})
}
