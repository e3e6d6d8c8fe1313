package muxapi

import (
	"context"
	"errors"
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
	p := pace{every: time.Hour, shared: func(context.Context) (time.Duration, error) { return 0, answer }}
	if err := p.wait(t.Context(), time.Now); !errors.Is(err, context.DeadlineExceeded) || !p.next.IsZero() {
		t.Errorf("wait = %v, own turn %v, want none", err, p.next)
	}
	answer = errors.New("the store is away")
	if err := p.wait(t.Context(), time.Now); err != nil || p.next.IsZero() {
		t.Errorf("wait without the store = %v, own turn %v, want one", err, p.next)
	}
}
