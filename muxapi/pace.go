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
	// shared takes a turn where others of the account take theirs, after which
	// there is none for so long; nil: alone.
	shared func(context.Context, time.Duration) (time.Duration, error)

	mu   sync.Mutex
	next time.Time // when the next turn is
	held time.Time // no turn is good before
}

// wait returns when it is the caller's turn, or with the context's error. A turn
// that comes after the context's deadline is not taken, so that those who cannot
// wait are in nobody's way.
func (p *pace) wait(ctx context.Context, now func() time.Time) error {
	for {
		delay, err := p.turn(ctx, now)
		if err == nil {
			err = sleep(ctx, delay)
		}
		if err != nil || !p.isHeld(now()) {
			return err
		}
	}
}

// turn takes the next turn and returns how long it is until then.
func (p *pace) turn(ctx context.Context, now func() time.Time) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if p.shared != nil {
		delay, err := p.shared(ctx, p.every)
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			return delay, err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	return p.take(ctx, now())
}

// holdTimeout bounds how long it may take to tell the others.
const holdTimeout = 5 * time.Second

// hold lets nobody have a turn for so long: neither those who wait for theirs
// here, nor those of the account who take theirs from now on.
func (p *pace) hold(ctx context.Context, now time.Time, d time.Duration) {
	p.mu.Lock()
	until := now.Add(d)
	if p.held.Before(until) {
		p.held = until
	}
	if p.next.Before(until) {
		p.next = until
	}
	p.mu.Unlock()
	if p.shared == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), holdTimeout)
	defer cancel()
	_, _ = p.shared(ctx, d) // who cannot be told is told by Mux
}

func (p *pace) isHeld(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.held)
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
