package keystore

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"time"

	"github.com/playgate/playgate/playback"
)

// tick is the least time between two looks at the schedule: with thousands of
// environments one is due every fraction of a millisecond, and a wake-up for each
// would cost more than reading it.
const tick = 50 * time.Millisecond

// schedule says when each environment is read next: a heap, the earliest first.
// An environment that is being read, or waits for that, is not in it.
type schedule []*environment

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].place, s[j].place = i, j
}

// Push appends an element; for package heap alone.
func (s *schedule) Push(x any) {
	e, _ := x.(*environment)
	e.place = len(*s)
	*s = append(*s, e)
}

// Pop removes the last element; for package heap alone.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	e := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	e.place = nowhere
	return e
}

// nowhere is the place of what is not in the schedule.
const nowhere = -1

func (s *schedule) remove(e *environment) {
	if e.place != nowhere {
		heap.Remove(s, e.place)
	}
}

// scheduleLocked books the next reading of an environment, unless it is being
// read, or the Watcher does not run.
func (w *Watcher) scheduleLocked(e *environment, due time.Time) {
	if w.ctx == nil || w.stopped || e.gone || e.queued {
		return
	}
	e.due = due
	if e.place == nowhere {
		heap.Push(&w.schedule, e)
	} else {
		heap.Fix(&w.schedule, e.place)
	}
	if e.place == 0 {
		select {
		case w.wake <- struct{}{}:
		default: // it is awake already
		}
	}
}

// delayLocked returns how long to wait before reading an environment again.
func (w *Watcher) delayLocked(e *environment) time.Duration {
	delay := w.cfg.Interval
	switch {
	case e.failures > 0 && e.failures < 30: // beyond, the shift would overflow
		delay = min(delay, firstBackoff<<(e.failures-1))
	case e.failures == 0 && e.watched:
		delay = max(delay, watchedInterval)
	}
	return spread(delay)
}

// spread returns a duration or up to a fifth less.
func spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - jitter*rand.Float64())) //nolint:gosec // spreads load, guards nothing
}

// changed has an environment read within Interval, because its source says that
// something may have changed in it.
func (w *Watcher) changed(env playback.EnvironmentID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := (*w.environments.Load())[env]
	if e == nil {
		return
	}
	e.told++
	if !e.watched {
		return // it is looked at soon anyway
	}
	e.watched = false
	if soon := w.cfg.Now().Add(spread(w.cfg.Interval)); soon.Before(e.due) {
		w.scheduleLocked(e, soon)
	}
}

// run has what is due read until ctx ends.
func (w *Watcher) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-w.wake:
		}
		for _, e := range w.takeDue() {
			if ctx.Err() != nil {
				return
			}
			if w.confirm(e) {
				w.finish(e)
			} else {
				w.enqueue(ctx, e)
			}
		}
		timer.Reset(w.untilDue())
	}
}

// takeDue takes what is due out of the schedule.
func (w *Watcher) takeDue() (due []*environment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.cfg.Now()
	for len(w.schedule) > 0 && !w.schedule[0].due.After(now) {
		e, _ := heap.Pop(&w.schedule).(*environment)
		e.queued = true
		due = append(due, e)
	}
	return due
}

// untilDue returns how long nothing is due, at least a tick.
func (w *Watcher) untilDue() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.schedule) == 0 {
		return w.cfg.Interval
	}
	return max(tick, w.schedule[0].due.Sub(w.cfg.Now()))
}

// enqueue has an environment read by one of a few workers.
func (w *Watcher) enqueue(ctx context.Context, e *environment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, e)
	if w.workers < atOnce {
		w.workers++
		w.loops.Go(func() { w.work(ctx) })
	}
}

// work reads what waits, until nothing does.
func (w *Watcher) work(ctx context.Context) {
	for e := w.next(); e != nil; e = w.next() {
		_ = w.refresh(ctx, e) // logged and counted where it happens
		w.finish(e)
	}
}

// finish puts an environment that was due, and has been read, back into the
// schedule.
func (w *Watcher) finish(e *environment) {
	w.mu.Lock()
	e.queued = false
	w.mu.Unlock()
	w.postpone(e)
}

// postpone books the next reading of an environment that has just been read.
func (w *Watcher) postpone(e *environment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scheduleLocked(e, w.cfg.Now().Add(w.delayLocked(e)))
}

// next returns the environment that has waited longest; nil: none does, and the
// worker ends.
func (w *Watcher) next() *environment {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 || w.ctx.Err() != nil {
		w.workers--
		return nil
	}
	e := w.queue[0]
	w.queue[0] = nil
	w.queue = w.queue[1:]
	return e
}
