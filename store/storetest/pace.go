package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/playgate/playgate/store"
)

func turns(t *testing.T, open func(*testing.T) store.Store) {
	s, other := open(t), open(t)
	// Hours, because a store may go by its own clock.
	const every = time.Hour
	turn := func(s store.Store, name string, every, within time.Duration) (time.Duration, error) {
		return s.Turn(t.Context(), store.Turn{Name: name, Every: every, Now: time.Now(), Within: within}) //nolint:forbidigo // see above
	}
	name := string(environment())
	for i, want := range []time.Duration{0, every, 2 * every} {
		got, err := turn([]store.Store{s, other}[i%2], name, every, 24*time.Hour)
		must(t, err)
		if got > want || got < want-time.Minute {
			t.Errorf("turn %d waits %s, want %s", i, got, want)
		}
	}
	for range 3 { // who has no time for it takes none
		if wait, err := turn(s, name, every, 2*every); !errors.Is(err, store.ErrNoTurn) {
			t.Errorf("a turn that comes too late: %s, %v, want ErrNoTurn", wait, err)
		}
	}
	got, err := turn(other, name, every, 24*time.Hour)
	must(t, err)
	if got > 3*every || got < 3*every-time.Minute {
		t.Errorf("the turn after those that nobody took waits %s, want 3h", got)
	}

	brief := string(environment())
	_, err = turn(s, brief, time.Millisecond, 0)
	must(t, err)
	for err = store.ErrNoTurn; errors.Is(err, store.ErrNoTurn) && t.Context().Err() == nil; {
		got, err = turn(other, brief, time.Millisecond, 0) // until its time has come
	}
	if err != nil || got != 0 {
		t.Errorf("a turn whose time has come waits %s, %v", got, err)
	}
}

// futureTurn has a turn that is due in ten years, as a clock left it that was
// ahead.
func futureTurn(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	name := string(environment())
	for i, every := range []time.Duration{10 * 365 * 24 * time.Hour, time.Minute} {
		wait, err := s.Turn(t.Context(), store.Turn{Name: name, Every: every, Now: time.Now(), Within: time.Minute}) //nolint:forbidigo // see above
		if err != nil || wait != 0 {
			t.Errorf("turn %d waits %s, %v", i, wait, err)
		}
	}
	if _, err := s.Turn(t.Context(), store.Turn{Name: name, Every: time.Minute, Now: time.Now()}); !errors.Is(err, store.ErrNoTurn) { //nolint:forbidigo // see above
		t.Errorf("the turn after that: %v, want that it is not yet", err)
	}
}
