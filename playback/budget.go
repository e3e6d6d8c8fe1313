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
	err    error          // why no more work is done
}

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

// Spend counts work that is about to be done, and looks at the time. After an
// error none must be done, and every later call returns the same error.
func (b *RuleBudget) Spend(units uint64) error {
	b.Note(units)
	if b.err != nil || b.ctx == nil {
		return b.err
	}
	if err := b.ctx.Err(); err != nil {
		b.err = fmt.Errorf("the request's time is over: %w", err)
	}
	return b.err
}

// Err returns why no more work is done, nil if the budget is not exhausted.
func (b *RuleBudget) Err() error { return b.err }

// Spent returns the units that were spent of this budget.
func (b *RuleBudget) Spent() uint64 { return b.spent }

// Apart returns a budget of the same size and end of which nothing is spent, for
// work that must not use up the request's own.
func (b *RuleBudget) Apart() *RuleBudget { return &RuleBudget{ctx: b.ctx, limit: b.limit} }
