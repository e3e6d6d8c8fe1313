package playback_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/playgate/playgate/playback"
)

func TestBudgetsEnd(t *testing.T) {
	t.Parallel()
	b := playback.NewRuleBudget(t.Context(), 100, nil)
	if err := b.Spend(100); err != nil {
		t.Errorf("Spend(100) of 100 = %v", err)
	}
	if err := b.Spend(1); !errors.Is(err, playback.ErrRuleBudget) || !errors.Is(b.Err(), playback.ErrRuleBudget) || b.Spend(0) == nil {
		t.Errorf("Spend beyond the limit = %v, Err = %v", err, b.Err())
	}
	if err := b.Apart().Spend(100); err != nil {
		t.Errorf("Spend(100) of a budget apart = %v", err)
	}
	var shared atomic.Uint64
	one, two := playback.NewRuleBudget(t.Context(), 100, &shared), playback.NewRuleBudget(t.Context(), 100, &shared)
	if one.Spend(60) != nil || two.Spend(60) == nil || one.Err() != nil {
		t.Error("the parts of a batch do not share their budget")
	}
	ctx, cancel := context.WithCancel(t.Context())
	late := playback.NewRuleBudget(ctx, 100, nil)
	cancel()
	if err := late.Spend(1); !errors.Is(err, context.Canceled) {
		t.Errorf("Spend after the request's end = %v", err)
	}
	var none playback.RuleBudget
	if err := none.Spend(1 << 60); err != nil {
		t.Errorf("Spend of the zero value = %v", err)
	}
}

// TestExpensiveRulesWaitForEachOther: who has no slot waits until one is given back,
// or until the request's time is over; who is cheap needs none.
func TestExpensiveRulesWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const much = 100_000
		slots := playback.NewRuleSlots(1)
		budget := func(ctx context.Context) *playback.RuleBudget {
			b := playback.NewRuleBudget(ctx, 1_000_000, nil)
			b.In(slots)
			return &b
		}
		first, second, cheap := budget(t.Context()), budget(t.Context()), budget(t.Context())
		if err := first.Spend(much); err != nil {
			t.Fatal(err)
		}
		if err := cheap.Spend(1000); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		late, ended := budget(ctx), make(chan error, 1)
		go func() { ended <- late.Spend(much) }()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a request whose time is over while it waits: %v", err)
		}
		late.Release() // it holds none
		done := make(chan error, 1)
		go func() { done <- second.Spend(much) }()
		synctest.Wait()
		if len(done) > 0 {
			t.Fatal("two hold the one slot")
		}
		first.Release()
		if err := <-done; err != nil {
			t.Error(err)
		}
		second.Release()
		second.Release()
		if len(slots) != 0 {
			t.Errorf("%d slots are held", len(slots))
		}
	})
}
