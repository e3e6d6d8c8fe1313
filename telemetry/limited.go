package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// NewLimited returns a logger that passes on so many records a second to another
// one, for what logs by itself and may be made to do so by strangers. The first
// record after others were left out says how many, in the attribute left_out.
func NewLimited(log *slog.Logger, perSecond int, now func() time.Time) *slog.Logger {
	return slog.New(&limited{log.Handler(), &budget{perSecond: perSecond, now: now}})
}

// limited is a handler that leaves out records beyond a budget.
type limited struct {
	slog.Handler

	budget *budget // of all handlers that were made from one
}

// Handle passes on a record, or leaves it out.
func (l *limited) Handle(ctx context.Context, r slog.Record) error {
	leftOut, ok := l.budget.take()
	if !ok {
		return nil
	}
	if leftOut > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out", leftOut))
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs returns a handler with the same budget.
func (l *limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limited{l.Handler.WithAttrs(attrs), l.budget}
}

// WithGroup returns a handler with the same budget.
func (l *limited) WithGroup(name string) slog.Handler {
	return &limited{l.Handler.WithGroup(name), l.budget}
}

// budget is how many records may be passed on in a second.
type budget struct {
	perSecond int
	now       func() time.Time

	mu      sync.Mutex // guards what follows
	since   time.Time  // when the second began
	passed  int        // in it
	leftOut int        // since the last one that was passed on
}

// take takes one record's share. leftOut is how many got none before.
func (b *budget) take() (leftOut int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.now(); now.Sub(b.since).Abs() >= time.Second {
		b.since, b.passed = now, 0
	}
	if b.passed >= b.perSecond {
		b.leftOut++
		return 0, false
	}
	b.passed++
	leftOut, b.leftOut = b.leftOut, 0
	return leftOut, true
}
