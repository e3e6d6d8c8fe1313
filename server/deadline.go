package server

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends after a time, like that of
// context.WithTimeout, which costs five allocations and a timer per request.
// This one looks at the clock when somebody first asks it for anything, which
// an answer from the cache never does; from then on it may outlive its request.
type deadline struct {
	after time.Duration

	mu    sync.Mutex // guards what follows
	at    time.Time  // when the time is over; zero: nobody has asked
	done  chan struct{}
	timer *time.Timer
	err   error
}

var _ context.Context = (*deadline)(nil)

// end releases whoever still waits.
func (d *deadline) end() {
	if d.used() {
		d.finish(context.Canceled)
	}
}

// used reports whether anybody has asked for anything. If not, nobody waits,
// nor has a reason to keep it.
func (d *deadline) used() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.at.IsZero() || d.done != nil
}

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
func (d *deadline) Deadline() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.endLocked(), true
}

func (d *deadline) endLocked() time.Time {
	if d.at.IsZero() {
		d.at = time.Now().Add(d.after) //nolint:forbidigo // a timer runs on the real clock, whatever the tests inject
	}
	return d.at
}

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
			d.timer = time.AfterFunc(time.Until(d.endLocked()), func() { d.finish(context.DeadlineExceeded) })
		}
	}
	return d.done
}

// Err returns why Done is closed, nil if it is not.
func (d *deadline) Err() error {
	if end, _ := d.Deadline(); time.Until(end) <= 0 {
		d.finish(context.DeadlineExceeded)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Value returns nil: nothing travels in it.
func (*deadline) Value(any) any { return nil }
