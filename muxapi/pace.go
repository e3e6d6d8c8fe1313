package muxapi

import (
	"context"
	"sync"
	"time"
)

// pace spaces requests out: each waits for its turn.
type pace struct {
	every time.Duration
	// shared takes a turn where others of the account take theirs; nil: alone.
	shared func(context.Context) (time.Duration, error)

	mu   sync.Mutex
	next time.Time // when the next turn is
}

// wait returns when it is the caller's turn, or with the context's error. A
// turn that was waited for in vain is not given back.
func (p *pace) wait(ctx context.Context, now func() time.Time) error {
	if p.shared != nil {
		if delay, err := p.shared(ctx); err == nil {
			return sleep(ctx, delay)
		}
	}
	p.mu.Lock()
	at := now()
	delay := max(0, p.next.Sub(at))
	p.next = at.Add(delay + p.every)
	p.mu.Unlock()
	return sleep(ctx, delay)
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
