package middleware

import (
	"time"

	"github.com/ulule/limiter/v3"
)

// window counts the hits of one key.
type window struct {
	opened int64 // Unix nanoseconds
	count  int64
	key    string
	group  uint32
	shared bool // by the keys that found no room

	previous, next *window // in singles; nil: not in it
}

// maxWait is longer than a request can wait until it is charged at the time at
// which it came.
const maxWait = time.Minute

// open reports whether the window has not ended. One that was opened more than
// maxWait after now is from before the clock was set back.
func (w *window) open(now int64, rate limiter.Rate) bool {
	age := time.Duration(now - w.opened)
	return age < rate.Period && age >= -maxWait
}

// state is the window as ulule/limiter describes one, except that Reset is
// rounded up to the second: whoever waits until then finds a new window.
func (w *window) state(rate limiter.Rate) limiter.Context {
	end := time.Unix(0, w.opened).Add(rate.Period)
	reset := end.Unix()
	if end.Nanosecond() > 0 {
		reset++
	}
	return limiter.Context{
		Limit:     rate.Limit,
		Remaining: max(0, rate.Limit-w.count),
		Reset:     reset,
		Reached:   w.count > rate.Limit,
	}
}

// singles lists the windows that have counted at most one hit, the oldest first.
type singles struct {
	root window // the list is a ring through it
}

func (s *singles) init() { s.root.previous, s.root.next = &s.root, &s.root }

// first returns the oldest, nil if there is none.
func (s *singles) first() *window {
	if s.root.next == &s.root {
		return nil
	}
	return s.root.next
}

// update puts a window whose count has changed into the list, or takes it out.
func (s *singles) update(w *window) {
	listed := w.next != nil
	switch {
	case w.shared:
	case w.count > 1 && listed:
		s.remove(w)
	case w.count <= 1 && !listed:
		w.previous, w.next = s.root.previous, &s.root
		w.previous.next, s.root.previous = w, w
	}
}

// remove takes a window out, if it is listed.
func (s *singles) remove(w *window) {
	if w.next == nil {
		return
	}
	w.previous.next, w.next.previous = w.next, w.previous
	w.previous, w.next = nil, nil
}
