package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/playback"
)

// TestOnlyWhoChangesKeysLooksAfterThem: a gateway that may only read keys does not
// ask for the journal, which its key store would refuse.
func TestOnlyWhoChangesKeysLooksAfterThem(t *testing.T) {
	t.Parallel()
	token := func(permissions ...string) configs.AccessToken { return configs.AccessToken{Permissions: permissions} }
	for name, c := range map[string]struct {
		change func(*configs.Environment)
		want   bool
	}{
		"reads": {func(e *configs.Environment) {
			e.AccessTokens = []configs.AccessToken{token("system:read", "video:write")}
		}, false},
		"rotates": {func(e *configs.Environment) { e.Keys.RotateEvery = time.Hour }, true},
		"deletes": {func(e *configs.Environment) { e.Keys.RetireAfter = time.Hour }, true},
		"is told to": {func(e *configs.Environment) {
			e.AccessTokens = []configs.AccessToken{token("video:read"), token("system:write")}
		}, true},
	} {
		e := &configs.Environment{}
		c.change(e)
		if got := changesKeys(e); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// keyStore is a key store that is down for a while, and what is recovered in it.
type keyStore struct {
	mu        sync.Mutex
	down      bool
	broken    bool // Recover fails
	asked     []time.Time
	recovered []time.Time
}

func (k *keyStore) Interrupted(context.Context, playback.EnvironmentID) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, time.Now())
	if k.down {
		return false, errors.New("the key store is down")
	}
	return len(k.recovered) == 0, nil
}

func (k *keyStore) Recover(context.Context, playback.EnvironmentID) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken {
		return errors.New("Mux is down")
	}
	k.recovered = append(k.recovered, time.Now())
	return nil
}

func (k *keyStore) set(down bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down, k.broken = down, false
}

func (k *keyStore) silent(playback.EnvironmentID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.down
}

// gaps returns the times between looks.
func (k *keyStore) gaps() (gaps []time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := 1; i < len(k.asked); i++ {
		gaps = append(gaps, k.asked[i].Sub(k.asked[i-1]))
	}
	return gaps
}

// recover runs the recovery of one environment in a key store.
func (k *keyStore) recover(t *testing.T) {
	t.Helper()
	e := &configs.Environment{ID: "acme"}
	e.Keys.RotateEvery = time.Hour
	s := &state{environments: []playback.EnvironmentID{"acme"}, configured: map[playback.EnvironmentID]*configs.Environment{"acme": e}}
	r := &recovery{manager: k, inForce: func() *state { return s }, silent: k.silent, log: slog.New(slog.DiscardHandler), now: time.Now}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
}

// TestRecoveryIsTriedAgainSoon: from a second to a minute, and never at the same
// times as other replicas.
func TestRecoveryIsTriedAgainSoon(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]*keyStore{"the key store is down": {down: true}, "Mux is down": {broken: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k.recover(t)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				gaps := k.gaps()
				for i, gap := range gaps {
					longest := min(recoveryLongest, recoveryFirst<<min(i, 10))
					if gap < longest/2 || gap > longest+recoveryTick {
						t.Errorf("look %d comes %s after the last, want %s less up to half of it", i+2, gap, longest)
					}
				}
				if len(gaps) < 10 {
					t.Errorf("%d looks in 10 minutes", len(gaps)+1)
				}
				k.set(false)
				time.Sleep(recoveryLongest + recoveryTick)
				synctest.Wait()
				if len(k.recovered) != 1 {
					t.Errorf("recovered %d times, want once", len(k.recovered))
				}
				time.Sleep(recoveryEvery + recoveryTick)
				synctest.Wait()
				k.set(true)
				before := len(k.gaps())
				time.Sleep(recoveryEvery + 2*recoveryTick)
				if gaps := k.gaps()[before:]; len(gaps) < 2 || gaps[1] > recoveryFirst+recoveryTick {
					t.Errorf("after a success the first failure is followed by a look within a second: %v", gaps)
				}
			})
		})
	}
}

// TestRecoveryGoesOnOnceTheKeyStoreAnswers: without waiting for its next try.
func TestRecoveryGoesOnOnceTheKeyStoreAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &keyStore{down: true}
		k.recover(t)
		for len(k.gaps()) < 10 { // the next is half a minute away, or more
			time.Sleep(time.Second)
			synctest.Wait()
		}
		k.set(false)
		begun := time.Now()
		time.Sleep(2 * recoveryTick)
		synctest.Wait()
		if len(k.recovered) != 1 || k.recovered[0].Sub(begun) > recoveryTick {
			t.Errorf("recovered at %v, want within a second after %v", k.recovered, begun)
		}
		// A store that always answers, and comes back from a failure of its own, is no
		// reason to look where nothing failed.
		asked := len(k.gaps())
		k.set(true)
		time.Sleep(2 * recoveryTick)
		k.set(false)
		time.Sleep(2 * recoveryTick)
		synctest.Wait()
		if more := len(k.gaps()) - asked; more != 0 {
			t.Errorf("%d looks though nothing was left to be done", more)
		}
	})
}
