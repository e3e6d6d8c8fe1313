package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/playgate/playgate/store"
)

func turns(t *testing.T, open func(*testing.T) store.Store) {
	s, other := open(t), open(t)
	name := string(environment())
	now := time.Unix(1_700_000_000, 0)
	turn := func(s store.Store, at time.Time) time.Duration {
		wait, err := s.Turn(t.Context(), store.Turn{Name: name, Every: 200 * time.Millisecond, Now: at, Within: time.Minute})
		must(t, err)
		return wait
	}
	for i, want := range []time.Duration{0, 200 * time.Millisecond, 400 * time.Millisecond} {
		if got := turn([]store.Store{s, other}[i%2], now); got != want {
			t.Errorf("turn %d waits %s, want %s", i, got, want)
		}
	}
	for range 3 { // who has no time for it takes none
		wish := store.Turn{Name: name, Every: 200 * time.Millisecond, Now: now, Within: 599 * time.Millisecond}
		if wait, err := s.Turn(t.Context(), wish); !errors.Is(err, store.ErrNoTurn) {
			t.Errorf("a turn that comes too late: %s, %v, want ErrNoTurn", wait, err)
		}
	}
	if got := turn(other, now); got != 600*time.Millisecond {
		t.Errorf("the turn after those that nobody took waits %s, want 600ms", got)
	}
	if got := turn(s, now.Add(time.Hour)); got != 0 {
		t.Errorf("an hour later a turn waits %s", got)
	}
}
