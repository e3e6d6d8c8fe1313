package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tokencache"
)

// newRotation is a nursery at a moment that is no rollover, when there would be
// nothing left to sign ahead.
func newRotation(t *testing.T, cfg tokencache.Config) *nursery {
	t.Helper()
	n := newNursery(t, cfg)
	n.term = minute
	time.Sleep(time.Millisecond)
	return n
}

// rotate tells the cache of the keys of acme; "" is none. The prepared one
// becomes active five minutes later.
func (n *nursery) rotate(active, prepared playback.KeyID) {
	n.cache.SetRotation(tokencache.Rotation{
		Environment: "acme", Active: tokencache.SigningKey{ID: active}, Prepared: tokencache.SigningKey{ID: prepared},
		Activation: time.Now().Add(5 * time.Minute),
	})
}

// askUnder asks as the issuer would while the key is active.
func (n *nursery) askUnder(key playback.KeyID, sub string) (hit bool) {
	n.t.Helper()
	claims, life := claimsOf(sub, n.term, time.Now())
	claims.Key = key
	token, hit, err := n.cache.Token(n.t.Context(), claims, life, playback.Turn{Caller: "u1"})
	if err != nil || token != tokenOf(claims) {
		n.t.Errorf("Token(%s) under %s: the token of other claims, or %v", sub, key, err)
	}
	return hit
}

// under returns what was signed under a key.
func (n *nursery) under(key playback.KeyID) []call {
	synctest.Wait()
	var out []call
	for _, c := range n.mint.signed() {
		if c.key == key {
			out = append(out, c)
		}
	}
	return out
}

func (n *nursery) presigned(result string, want float64) {
	n.t.Helper()
	synctest.Wait()
	if got := metric(n.t, n.registry, "playgate_token_cache_presigned_total", result); got != want {
		n.t.Errorf("counted %v of %s, want %v", got, result, want)
	}
}

func TestHotTokensAreHitsAtOnceWhenThePreparedKeyBecomesActive(t *testing.T) {
	t.Parallel()
	const tokens = 50
	// At any moment after the first pass, whatever rolled over meanwhile.
	for _, after := range []time.Duration{time.Second, 14 * time.Second, 15 * time.Second, 61*time.Second + 300*time.Millisecond, 4 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			n := newRotation(t, tokencache.Config{})
			n.rotate("K1", "")
			everybody := func() {
				for i := range tokens {
					n.askUnder("K1", fmt.Sprint("PID", i))
				}
			}
			everybody()
			everybody()
			n.rotate("K1", "K2")
			if got := n.under("K2"); len(got) != 0 {
				t.Fatalf("signed under the prepared key for nobody: %+v", got)
			}
			end := time.Now().Add(after)
			for time.Now().Before(end) {
				everybody()
				time.Sleep(100 * time.Millisecond)
			}
			everybody()
			synctest.Wait()
			before := len(n.under("K2"))
			for _, c := range n.under("K2") {
				if c.turn != (playback.Turn{Ahead: true}) {
					t.Errorf("a twin waits among requests: %+v", c)
				}
			}
			n.rotate("K2", "")
			for i := range tokens {
				if !n.askUnder("K2", fmt.Sprint("PID", i)) {
					t.Errorf("%v after it was prepared: PID%d is a miss under the new key", after, i)
				}
			}
			if got := len(n.under("K2")); got != before {
				t.Errorf("%d signatures on the request path", got-before)
			}
			if got := metric(t, n.registry, "playgate_token_cache_cold", ""); got != 0 {
				t.Errorf("%v tokens are cold", got)
			}
			n.cache.Stop()
		})
	}
}

// What was refreshed before the key was prepared rolls over before the switch,
// and nobody asks in between.
func TestTokensThatRollOverJustBeforeTheSwitchAreHits(t *testing.T) {
	t.Parallel()
	const tokens = 200
	synctest.Test(t, func(t *testing.T) {
		n := newRotation(t, tokencache.Config{})
		n.rotate("K1", "")
		everybody := func() {
			for i := range tokens {
				n.askUnder("K1", fmt.Sprint("PID", i))
			}
		}
		for range 300 {
			everybody()
			time.Sleep(100 * time.Millisecond)
		}
		n.rotate("K1", "K2")
		everybody()
		synctest.Wait()
		last := make(map[int]int64)
		for i := range tokens {
			_, life := claimsOf(fmt.Sprint("PID", i), n.term, time.Now())
			last[i] = life.Exp
		}
		time.Sleep(time.Second)
		n.rotate("K2", "")
		rolled := 0
		for i := range tokens {
			sub := fmt.Sprint("PID", i)
			if _, life := claimsOf(sub, n.term, time.Now()); life.Exp != last[i] {
				rolled++
			}
			if !n.askUnder("K2", sub) {
				t.Errorf("%s is a miss under the new key", sub)
			}
		}
		if rolled == 0 {
			t.Error("none rolled over: the test tests nothing")
		}
		n.cache.Stop()
	})
}

// What rolls over just after the switch is refreshed under the new key though
// nobody asks in between.
func TestTokensThatRollOverJustAfterTheSwitchAreHits(t *testing.T) {
	t.Parallel()
	const tokens = 200
	synctest.Test(t, func(t *testing.T) {
		n := newRotation(t, tokencache.Config{})
		n.rotate("K1", "K2")
		n.askUnder("K1", "ONCE")
		for range 300 {
			for i := range tokens {
				n.askUnder("K1", fmt.Sprint("PID", i))
			}
			time.Sleep(100 * time.Millisecond)
		}
		exp := func(i int) int64 {
			_, life := claimsOf(fmt.Sprint("PID", i), n.term, time.Now())
			return life.Exp
		}
		last := make(map[int]int64)
		for i := range tokens {
			last[i] = exp(i)
		}
		n.rotate("K2", "")
		time.Sleep(2500 * time.Millisecond)
		rolled := 0
		for i := range tokens {
			if exp(i) != last[i] {
				rolled++
			}
			if !n.askUnder("K2", fmt.Sprint("PID", i)) {
				t.Errorf("PID%d is a miss under the new key", i)
			}
		}
		if rolled == 0 {
			t.Error("none rolled over: the test tests nothing")
		}
		time.Sleep(time.Minute)
		for _, c := range n.under("K2") {
			if c.sub == "ONCE" {
				t.Error("signed under the new key, though nobody used it")
			}
		}
		n.cache.Stop()
	})
}

func TestTokensThatNobodyAsksForAreNotSignedUnderThePreparedKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newRotation(t, tokencache.Config{})
		n.rotate("K1", "")
		for _, sub := range []string{"IDLE", "IDLE", "ONCE", "HOT", "HOT"} {
			n.askUnder("K1", sub)
		}
		n.rotate("K1", "K2")
		n.askUnder("K1", "HOT")
		n.askUnder("K1", "NEW")
		if got := n.under("K2"); len(got) != 1 || got[0].sub != "HOT" {
			t.Errorf("signed %+v, want HOT alone", got)
		}
		n.askUnder("K1", "NEW")
		n.askUnder("K1", "HOT")
		if got := n.under("K2"); len(got) != 2 || got[1].sub != "NEW" {
			t.Errorf("signed %+v, want HOT, and NEW once it is in use", got)
		}
		n.presigned("signed", 2)
		n.cache.Stop()
	})
}

func TestAPreparedKeyThatIsWithdrawnOrReplacedSignsNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newRotation(t, tokencache.Config{})
		n.mint.rate.Store(4)
		n.term = 86400
		n.rotate("K1", "")
		for i := range 40 {
			n.askUnder("K1", fmt.Sprint("PID", i))
			n.askUnder("K1", fmt.Sprint("PID", i))
		}
		everybody := func() {
			for i := range 40 {
				n.askUnder("K1", fmt.Sprint("PID", i))
			}
		}
		n.rotate("K1", "K2")
		everybody()
		time.Sleep(time.Second)
		begun := len(n.under("K2"))
		if begun == 0 || begun > 10 {
			t.Fatalf("%d signed in a second, want 4 or so", begun)
		}
		if got := metric(t, n.registry, "playgate_token_cache_cold", ""); got != float64(40-begun) {
			t.Errorf("%v tokens are cold, want %d", got, 40-begun)
		}
		n.rotate("K1", "K3")
		everybody()
		time.Sleep(20 * time.Second)
		if got := len(n.under("K2")); got != begun {
			t.Errorf("%d signed under a key that was replaced", got-begun)
		}
		if got := len(n.under("K3")); got < 20 {
			t.Errorf("%d signed under the key that replaced it", got)
		}
		n.rotate("K1", "")
		if got := metric(t, n.registry, "playgate_token_cache_cold", ""); got > 40 {
			t.Errorf("%v tokens are cold", got)
		}
		before := len(n.under("K3"))
		everybody()
		time.Sleep(20 * time.Second)
		if got := len(n.under("K3")); got != before {
			t.Errorf("%d signed under a key that was withdrawn", got-before)
		}
		n.cache.Stop()
	})
}

func TestNoMoreIsSignedUnderThePreparedKeyThanThereIsTimeFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newRotation(t, tokencache.Config{})
		n.mint.rate.Store(10)
		n.term = 86400
		rotation := tokencache.Rotation{Environment: "acme", Active: tokencache.SigningKey{ID: "K1"}}
		n.cache.SetRotation(rotation)
		for i := range 100 {
			n.askUnder("K1", fmt.Sprint("PID", i))
			n.askUnder("K1", fmt.Sprint("PID", i))
		}
		rotation.Prepared.ID, rotation.Activation = "K2", time.Now().Add(3*time.Second)
		n.cache.SetRotation(rotation)
		for i := range 100 { // the hottest are asked for first
			n.askUnder("K1", fmt.Sprint("PID", i))
		}
		if got := metric(t, n.registry, "playgate_token_cache_presigned_total", "over_budget"); got < 65 || got > 70 {
			t.Errorf("%v of 100 are beyond the budget of 10 a second for 3 seconds, want 70 or what had begun less", got)
		}
		time.Sleep(5 * time.Second)
		signed := make(map[string]bool)
		for _, c := range n.under("K2") {
			signed[c.sub] = true
		}
		for i := range 30 {
			if !signed[fmt.Sprint("PID", i)] {
				t.Errorf("PID%d was not signed, though among the hottest", i)
			}
		}
		n.cache.Stop()
	})
}

func TestTwinsPushNothingOutThatIsInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newRotation(t, tokencache.Config{MaxEntries: 60}) // one shard
		n.rotate("K1", "")
		for i := range 20 {
			n.askUnder("K1", fmt.Sprint("ONCE", i))
		}
		for i := range 40 {
			n.askUnder("K1", fmt.Sprint("PID", i))
			n.askUnder("K1", fmt.Sprint("PID", i))
		}
		n.rotate("K1", "K2")
		for i := range 40 {
			n.askUnder("K1", fmt.Sprint("PID", i))
		}
		n.presigned("signed", 20) // in place of what was asked for once
		n.presigned("no_room", 20)
		for i := range 40 {
			if !n.askUnder("K1", fmt.Sprint("PID", i)) {
				t.Errorf("PID%d was pushed out", i)
			}
		}
		n.cache.Stop()
	})
}

func TestTokensOfAKeyThatIsGoneMakeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newRotation(t, tokencache.Config{})
		n.rotate("K1", "K2")
		for i := range 300 {
			n.askUnder("K1", fmt.Sprint("PID", i))
			if i < 100 {
				n.askUnder("K1", fmt.Sprint("PID", i))
			}
		}
		synctest.Wait()
		n.rotate("K2", "")
		synctest.Wait()
		if got := metric(t, n.registry, "playgate_token_cache_entries", ""); got != 100 {
			t.Errorf("%v tokens are remembered after the switch, want the 100 twins", got)
		}
		n.askUnder("K1", "LATE") // from before the switch
		if got := metric(t, n.registry, "playgate_token_cache_entries", ""); got != 100 {
			t.Errorf("the token of a key that is gone is remembered")
		}
		n.cache.SetRotation(tokencache.Rotation{Environment: "acme"})
		synctest.Wait()
		if got := metric(t, n.registry, "playgate_token_cache_entries", ""); got != 0 {
			t.Errorf("%v tokens of no environment are remembered", got)
		}
		n.cache.Stop()
	})
}

func TestOtherEnvironmentsAreNotPartOfARotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newRotation(t, tokencache.Config{})
		n.cache.SetRotation(tokencache.Rotation{Environment: "globex", Active: tokencache.SigningKey{ID: "K1"}, Prepared: tokencache.SigningKey{ID: "K2"}})
		n.cache.SetRotation(tokencache.Rotation{Environment: "acme", Active: tokencache.SigningKey{ID: "K1"}})
		for range 5 {
			n.askUnder("K1", "PID1")
		}
		time.Sleep(10 * time.Minute)
		if got := n.under("K2"); len(got) != 0 {
			t.Errorf("signed %+v", got)
		}
		n.cache.Stop()
	})
}

func TestATwinThatCannotBeSignedHarmsNobody(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want string
	}{
		{playback.Errorf(playback.CodeNoActiveKey, "it failed its self-check"), "no_active_key"},
		{playback.Errorf(playback.CodeSigningOverloaded, "the line is full"), "dropped"},
		{errors.New("a bug"), "failed"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newRotation(t, tokencache.Config{})
			n.rotate("K1", "K2")
			n.mint.mu.Lock()
			n.mint.sign = func(_ context.Context, _ *playback.Claims, turn playback.Turn) error {
				if turn.Ahead {
					return test.err
				}
				return nil
			}
			n.mint.mu.Unlock()
			for range 5 {
				n.askUnder("K1", "PID1")
				synctest.Wait()
			}
			n.presigned(test.want, 1)
			n.rotate("K2", "")
			if n.askUnder("K2", "PID1") {
				t.Error("a failure was remembered")
			}
			n.cache.Stop()
		})
	}
}
