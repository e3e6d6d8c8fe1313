package muxapi

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestATurnThatComesTooLateIsNotTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := pace{every: time.Second}
		if err := p.wait(t.Context(), time.Now); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			if err := p.wait(ctx, time.Now); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("wait = %v, want that there is no time", err)
			}
			cancel()
		}
		began := time.Now()
		if err := p.wait(t.Context(), time.Now); err != nil || time.Since(began) != time.Second {
			t.Errorf("the next turn came after %s, %v, want 1s", time.Since(began), err)
		}
	})
}

func TestASharedTurnThatComesTooLateIsNotTakenAlone(t *testing.T) {
	t.Parallel()
	answer := context.DeadlineExceeded
	p := pace{every: time.Hour, shared: func(context.Context, time.Duration) (time.Duration, error) { return 0, answer }}
	if err := p.wait(t.Context(), time.Now); !errors.Is(err, context.DeadlineExceeded) || !p.next.IsZero() {
		t.Errorf("wait = %v, own turn %v, want none", err, p.next)
	}
	answer = errors.New("the store is away")
	if err := p.wait(t.Context(), time.Now); err != nil || p.next.IsZero() {
		t.Errorf("wait without the store = %v, own turn %v, want one", err, p.next)
	}
}

// TestWhoIsToldToWaitTellsTheOthers: those who have a turn already, those who
// take theirs afterwards, and those who take theirs elsewhere.
func TestWhoIsToldToWaitTellsTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var taken []time.Duration
		p := pace{every: time.Second}
		for _, sharing := range []bool{false, true} {
			if sharing {
				p.shared = func(_ context.Context, every time.Duration) (time.Duration, error) {
					mu.Lock()
					defer mu.Unlock()
					taken = append(taken, every)
					return time.Second, nil
				}
			}
			began := time.Now()
			waits := make(chan time.Duration, 2)
			wait := func() {
				if err := p.wait(t.Context(), time.Now); err != nil {
					t.Error(err)
				}
				waits <- time.Since(began)
			}
			go wait()
			synctest.Wait()
			if !sharing {
				<-waits // the first has no reason to wait
				go wait()
				synctest.Wait()
			}
			p.hold(t.Context(), time.Now(), 10*time.Second)
			p.hold(t.Context(), time.Now(), time.Second) // the longer one counts
			go wait()
			for range 2 {
				if got := <-waits; got < 10*time.Second || got > 12*time.Second {
					t.Errorf("shared %v: a turn came after %s, want the 10s that nobody may have one", sharing, got)
				}
			}
		}
		if len(taken) < 3 || taken[1] != 10*time.Second {
			t.Errorf("the others were told %v, want 10s second", taken)
		}
	})
}
