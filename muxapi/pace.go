package muxapi

import (
	"context"
	"errors"
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

// wait returns when it is the caller's turn, or with the context's error. A turn
// that comes after the context's deadline is not taken, so that those who cannot
// wait are in nobody's way.
func (p *pace) wait(ctx context.Context, now func() time.Time) error {
	if p.shared != nil {
		delay, err := p.shared(ctx)
		switch {
		case err == nil:
			return sleep(ctx, delay)
		case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
			return err
		}
	}
	delay, err := p.take(ctx, now())
	if err != nil {
		return err
	}
	return sleep(ctx, delay)
}

func (p *pace) take(ctx context.Context, now time.Time) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delay := max(0, p.next.Sub(now))
	if end, ok := ctx.Deadline(); ok && delay > time.Until(end) {
		return 0, context.DeadlineExceeded
	}
	p.next = now.Add(delay + p.every)
	return delay, nil
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
