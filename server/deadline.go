package server

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends after a time, like that of
// context.WithTimeout, which costs five allocations and a timer per request.
// This one starts its timer when somebody first waits for it, which an answer
// from the cache never does. It may outlive its request.
type deadline struct {
	begun time.Time
	after time.Duration

	mu    sync.Mutex // guards what follows
	done  chan struct{}
	timer *time.Timer
	err   error
}

var _ context.Context = (*deadline)(nil)

// start begins the time. It is called once, before anyone else has the
// context.
func (d *deadline) start(after time.Duration) {
	d.begun = time.Now() //nolint:forbidigo // a timer runs on the real clock, whatever the tests inject
	d.after = after
}

// end releases whoever still waits.
func (d *deadline) end() { d.finish(context.Canceled) }

func (d *deadline) finish(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return
	}
	d.err = err
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.done != nil {
		close(d.done)
	}
}

// Deadline returns when the time is over.
func (d *deadline) Deadline() (time.Time, bool) { return d.begun.Add(d.after), true }

// Done returns a channel that is closed when the time is over or the request
// has been answered.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = make(chan struct{})
		if d.err != nil {
			close(d.done)
		} else {
			d.timer = time.AfterFunc(d.after-time.Since(d.begun), func() { d.finish(context.DeadlineExceeded) })
		}
	}
	return d.done
}

// Err returns why Done is closed, nil if it is not.
func (d *deadline) Err() error {
	if time.Since(d.begun) >= d.after {
		d.finish(context.DeadlineExceeded)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Value returns nil: nothing travels in it.
func (*deadline) Value(any) any { return nil }
