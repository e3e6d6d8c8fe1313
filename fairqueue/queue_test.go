package fairqueue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/playgate/playgate/fairqueue"
)

// serve makes everybody in names wait, in that order, and returns the order in
// which they got the only place. What stands before the digit is the key.
func serve(t *testing.T, q *fairqueue.Queue, names []string) []string {
	t.Helper()
	var mu sync.Mutex
	var served []string
	if err := q.Acquire(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			if err := q.Acquire(t.Context(), strings.TrimRight(name, "0123456789")); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			served = append(served, name)
			mu.Unlock()
			q.Release()
		})
		synctest.Wait()
	}
	q.Release()
	wg.Wait()
	return served
}

func TestKeysAreServedInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := serve(t, fairqueue.New(1), []string{"a1", "a2", "a3", "a4", "b1", "b2", "c1"})
		if want := []string{"a1", "b1", "c1", "a2", "b2", "a3", "a4"}; !slices.Equal(got, want) {
			t.Errorf("served %q, want %q", got, want)
		}
	})
}

// TestAnAttackerDelaysOthersByOnePlace: a thousand waiters of one key.
func TestAnAttackerDelaysOthersByOnePlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		names := make([]string, 0, 1001)
		for i := range 1000 {
			names = append(names, fmt.Sprintf("attacker%d", i))
		}
		got := serve(t, fairqueue.New(1), append(names, "viewer1"))
		if at := slices.Index(got, "viewer1"); at > 1 {
			t.Errorf("the viewer came after %d of the attacker", at)
		}
	})
}

func TestWhoGivesUpLosesNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := fairqueue.New(2)
		for range 2 {
			if err := q.Acquire(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 3)
		for _, key := range []string{"a", "a", "b"} {
			go func() { errs <- q.Acquire(ctx, key) }()
		}
		synctest.Wait()
		cancel()
		for range 3 {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("Acquire = %v, want that it was cancelled", err)
			}
		}
		q.Release()
		q.Release()
		for range 2 {
			if err := q.Acquire(t.Context(), "c"); err != nil {
				t.Errorf("a place was lost: %v", err)
			}
		}
		if err := q.Acquire(ctx, "c"); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
	})
}

// TestNeverMoreThanThePlaces, with waiters that give up while they are served.
func TestNeverMoreThanThePlaces(t *testing.T) {
	t.Parallel()
	const places = 3
	q := fairqueue.New(places)
	var mu sync.Mutex
	held, most := 0, 0
	count := func(d int) {
		mu.Lock()
		defer mu.Unlock()
		held += d
		most = max(most, held)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for n := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (n+i)%3 == 0 {
					go cancel()
				}
				if q.Acquire(ctx, fmt.Sprint(i%7)) == nil {
					count(1)
					count(-1)
					q.Release()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if most > places {
		t.Errorf("%d held a place at once, want at most %d", most, places)
	}
	for range places {
		if err := q.Acquire(t.Context(), "after"); err != nil {
			t.Errorf("a place was lost: %v", err)
		}
	}
}
