package playback

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// The budgets of the rules, in units of about 50 ns.
const (
	// RequestRuleWork is that of one request, a batch being one: a hundred
	// evaluations that cost as much as one may.
	RequestRuleWork = 1_000_000
	// ExplainRuleWork is that of one explanation, which evaluates rules thousands of
	// times.
	ExplainRuleWork = 20_000_000
)

// ErrRuleBudget says that the rules of one request did more work than one
// request may cost.
var ErrRuleBudget = errors.New("the rules cost more than one request may")

// RuleBudget bounds the work that rules do for one request, over all of its
// questions, and ends it with the request's context. The units are the rules'
// own. The zero value bounds nothing. It serves one goroutine at a time.
type RuleBudget struct {
	ctx    context.Context //nolint:containedctx // the request's; a question has no other way to it
	limit  uint64
	spent  uint64
	shared *atomic.Uint64 // what all parts of a batch have spent; nil: there are no others
	slots  RuleSlots
	held   bool  // one of the slots
	err    error // why no more work is done
}

// RuleSlots bound how many requests with expensive rules are worked on at a time,
// so that processors are left for all others. nil: any number.
type RuleSlots chan struct{}

// NewRuleSlots returns n slots.
func NewRuleSlots(n int) RuleSlots { return make(RuleSlots, n) }

// expensive is the work from which on a request needs a slot, about 2.5 ms.
const expensive = 50_000

// NewRuleBudget returns a budget of limit units that ends with ctx. What is
// spent is counted in shared, too, if it is not nil: then limit bounds the sum.
func NewRuleBudget(ctx context.Context, limit uint64, shared *atomic.Uint64) RuleBudget {
	return RuleBudget{ctx: ctx, limit: limit, shared: shared}
}

// Note counts work that was done.
func (b *RuleBudget) Note(units uint64) {
	b.spent += units
	total := b.spent
	if b.shared != nil {
		total = b.shared.Add(units)
	}
	if b.err == nil && b.ctx != nil && total > b.limit {
		b.err = ErrRuleBudget
	}
}

// In makes the budget wait for a slot when its work becomes expensive. Release
// gives the slot back.
func (b *RuleBudget) In(slots RuleSlots) { b.slots = slots }

// Release gives back the slot that the budget holds, if it does. The work is done.
func (b *RuleBudget) Release() {
	if b.held {
		b.held = false
		<-b.slots
	}
}

// Spend counts work that is about to be done, looks at the time and may wait for a
// slot. After an error no work must be done, and every later call returns the same
// error.
func (b *RuleBudget) Spend(units uint64) error {
	b.Note(units)
	if b.err != nil || b.ctx == nil {
		return b.err
	}
	if err := b.ctx.Err(); err != nil {
		b.end(err)
		return b.err
	}
	if b.spent < expensive || b.held || b.slots == nil {
		return nil
	}
	select {
	case b.slots <- struct{}{}:
		b.held = true
	case <-b.ctx.Done():
		b.end(b.ctx.Err())
	}
	return b.err
}

func (b *RuleBudget) end(err error) { b.err = fmt.Errorf("the request's time is over: %w", err) }

// Err returns why no more work is done, nil if the budget is not exhausted.
func (b *RuleBudget) Err() error { return b.err }

// Spent returns the units that were spent of this budget.
func (b *RuleBudget) Spent() uint64 { return b.spent }

// Apart returns a budget of the same size and end of which nothing is spent, for
// work that must not use up the request's own. It needs no slot: whoever waits for
// a second one while holding the first may wait for itself.
func (b *RuleBudget) Apart() *RuleBudget { return &RuleBudget{ctx: b.ctx, limit: b.limit} }
