package keystore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/playback"
)

// environment is what a Watcher knows of one environment. The fields from due on
// are guarded by the Watcher's mu.
type environment struct {
	id     playback.EnvironmentID
	gauges *gauges
	// busy holds a token while the environment is being read, so that a later
	// reading never settles before an earlier one.
	busy chan struct{}
	mark Mark // of the last reading; nil: none. Guarded by busy
	// delivery is held during a call of OnChange.
	delivery sync.Mutex
	// ctx ends when the environment is no longer watched.
	ctx    context.Context //nolint:containedctx // the life of the environment
	cancel context.CancelFunc
	shown  atomic.Pointer[view] // see current

	due      time.Time        // of the next reading
	place    int              // in the schedule, or nowhere
	queued   bool             // it waits for its reading, or is being read, because it was due
	watched  bool             // the source tells of changes, and has told of none
	told     int              // how often it has told of one
	gone     bool             // no longer watched: what is still being read is dropped
	accepted bool             // keys were read at least once
	failures int              // in a row: source unavailable
	logged   time.Time        // when unavailability was last logged
	kept     bool             // the last reading had to keep an earlier one of a key
	rejected bool             // the last reading's keys contradicted each other
	problems map[Problem]bool // of the last reading: whether it was logged
}

// view is what others see of an environment. Its keys never change: other keys
// come with another view. The rest says how fresh they are.
type view struct {
	keys    Keyset // the last good ones
	tried   bool
	read    atomic.Int64 // when they were last read with success, Unix nanoseconds; 0: never
	failing atomic.Bool  // the last reading was no success
}

func (v *view) lastRead() time.Time {
	if nanoseconds := v.read.Load(); nanoseconds != 0 {
		return time.Unix(0, nanoseconds)
	}
	return time.Time{}
}

func newEnvironment(id playback.EnvironmentID, m *metrics) *environment {
	e := &environment{id: id, gauges: m.show(id), busy: make(chan struct{}, 1), place: nowhere}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.shown.Store(&view{})
	return e
}

// current returns what others see.
func (e *environment) current() *view { return e.shown.Load() }

// confirm notes that an environment's keys are what they were, if the source can
// tell. It reports false if they must be read.
func (w *Watcher) confirm(e *environment) bool {
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	default:
		return false // it is being read
	}
	if e.mark == nil {
		return false
	}
	w.mu.Lock()
	certain, told := !e.gone && e.certainLocked(), e.told
	w.mu.Unlock()
	if !certain || !e.mark.Unchanged() {
		return false
	}
	watched := e.mark.Watched()
	w.mu.Lock()
	defer w.mu.Unlock()
	e.watched = watched && told == e.told
	w.succeedLocked(e)
	return true
}

// certainLocked reports whether the last reading left nothing open.
func (e *environment) certainLocked() bool {
	if !e.accepted || e.failures > 0 || e.kept || e.rejected {
		return false
	}
	for _, logged := range e.problems {
		if !logged {
			return false // it may pass
		}
	}
	return true
}

// refresh reads an environment, settles what came of it and says so. The error
// has been logged and counted.
func (w *Watcher) refresh(ctx context.Context, e *environment) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.ctx, func() { cancel(nil) })()
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		return ctx.Err() // it was not reached
	}
	read, reached := w.read(ctx, e.id)
	e.mark = read.mark
	w.mu.Lock()
	e.watched = false // until its mark was asked
	w.mu.Unlock()
	stalled := errors.Is(context.Cause(ctx), errStalled)
	if !reached || ctx.Err() != nil && !stalled {
		return read.err // nobody asks any more: this says nothing about the source
	}
	if read.err != nil && stalled {
		read.err = fmt.Errorf("%w: %w", errStalled, read.err)
	}
	if w.settle(ctx, e, read) {
		w.deliver(e)
	}
	return read.err
}

// deliver passes an environment's keys on, unless it is no longer watched.
func (w *Watcher) deliver(e *environment) {
	e.delivery.Lock()
	defer e.delivery.Unlock()
	w.mu.Lock()
	gone := e.gone
	w.mu.Unlock()
	if !gone {
		w.cfg.OnChange(e.id, e.current().keys)
	}
}

// reading is what came of reading an environment once.
type reading struct {
	keys     Keyset
	problems []Problem
	mark     Mark
	err      error
}

// read waits for a slot and reads; reached: it came to that.
func (w *Watcher) read(ctx context.Context, id playback.EnvironmentID) (_ reading, reached bool) {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return reading{err: ctx.Err()}, false
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.LoadTimeout)
	defer cancel()
	load := w.loadUnmarked
	if w.comparer != nil {
		load = w.comparer.LoadMarked
	}
	records, problems, mark, err := load(ctx, id)
	if err != nil {
		return reading{problems: problems, err: fmt.Errorf("reading keyset: %w", err)}, true
	}
	w.checkRecords(records)
	keys, more, err := Assemble(records)
	return reading{keys, append(problems, more...), mark, err}, true
}

func (w *Watcher) loadUnmarked(ctx context.Context, id playback.EnvironmentID) ([]Record, []Problem, Mark, error) {
	records, problems, err := w.cfg.Source.Load(ctx, id)
	return records, problems, nil, err
}

// settle takes over a reading, or keeps the last good keys. It reports whether
// the keys are others than before, or known for the first time.
func (w *Watcher) settle(ctx context.Context, e *environment, read reading) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.gone {
		return false
	}
	switch {
	case read.err == nil:
		changed = w.acceptLocked(ctx, e, read.keys)
		e.kept = slices.ContainsFunc(read.problems, func(p Problem) bool { return p.Kept })
		if !e.kept {
			w.succeedLocked(e)
		}
	case errors.Is(read.err, ErrSeveralStateless):
		w.rejectLocked(ctx, e, read.err)
	default:
		w.missLocked(ctx, e, read.err)
	}
	e.triedLocked()
	if e.failures > 0 {
		return false // problems and gauges are those of the last answer
	}
	troubles := w.reportLocked(ctx, e, read.problems)
	if e.rejected {
		troubles++
	}
	e.gauges.show(e.current().keys, troubles)
	return changed
}

// succeedLocked notes that the keys in force were read now.
func (w *Watcher) succeedLocked(e *environment) {
	now := w.cfg.Now()
	e.current().read.Store(now.UnixNano())
	w.metrics.ok.Inc()
	e.gauges.lastSuccess.Set(float64(now.Unix()))
}

// triedLocked shows that the environment was tried, and whether its source fails.
func (e *environment) triedLocked() {
	v := e.current()
	if !v.tried {
		e.replaceLocked(v.keys)
		v = e.current()
	}
	v.failing.Store(e.failures > 0 || e.kept)
}

// replaceLocked shows other keys, which are as fresh as those before until
// somebody says otherwise.
func (e *environment) replaceLocked(keys Keyset) {
	old, next := e.current(), &view{keys: keys, tried: true}
	next.read.Store(old.read.Load())
	next.failing.Store(old.failing.Load())
	e.shown.Store(next)
}

func (w *Watcher) acceptLocked(ctx context.Context, e *environment, keys Keyset) (changed bool) {
	first := !e.accepted
	e.accepted = true
	if e.failures > 0 || e.rejected {
		w.cfg.Logger.InfoContext(ctx, "signing keys can be read again", "environment", e.id)
	}
	e.failures, e.rejected = 0, false
	if !first && e.current().keys.Equal(keys) {
		return false
	}
	e.replaceLocked(keys)
	w.noteUncheckedLocked(e)
	if active, ok := keys.Active(); ok {
		w.cfg.Logger.InfoContext(ctx, "signing keys read", "environment", e.id, "active", active.ID, "keys", len(keys.Keys))
	} else {
		w.cfg.Logger.ErrorContext(ctx, "no active signing key: the environment cannot sign", "environment", e.id, "keys", len(keys.Keys))
	}
	return true
}

func (w *Watcher) rejectLocked(ctx context.Context, e *environment, err error) {
	w.metrics.rejected.Inc()
	e.failures = 0 // the source answered: no need to ask it more often
	if !e.rejected {
		w.cfg.Logger.ErrorContext(ctx, "signing keys contradict each other: the last good ones stay in force",
			"environment", e.id, "keys", len(e.current().keys.Keys), "error", err)
	}
	e.rejected = true
}

func (w *Watcher) missLocked(ctx context.Context, e *environment, err error) {
	w.metrics.unavailable.Inc()
	e.failures++
	now := w.cfg.Now()
	if e.failures > 1 && now.Sub(e.logged) < remindEvery {
		return
	}
	e.logged = now
	last := e.current().lastRead()
	if last.IsZero() {
		w.cfg.Logger.ErrorContext(ctx, "signing keys cannot be read: the environment cannot sign until they can",
			"environment", e.id, "driver", w.cfg.Driver, "error", err)
		return
	}
	w.cfg.Logger.ErrorContext(ctx, "signing keys cannot be read: the last good ones stay in force",
		"environment", e.id, "driver", w.cfg.Driver, "keys", len(e.current().keys.Keys),
		"age", playback.FormatDuration(now.Sub(last)), "error", err)
}

// reportLocked logs problems that were not there at the last reading, or that
// have not passed since. It returns how many there are, but for those that may
// pass.
func (w *Watcher) reportLocked(ctx context.Context, e *environment, problems []Problem) (troubles int) {
	known := e.problems
	e.problems = nil
	if len(problems) > 0 {
		e.problems = make(map[Problem]bool, len(problems))
	}
	for _, p := range problems {
		logged, stays := known[p]
		if p.Passing && !stays {
			e.problems[p] = false
			continue
		}
		e.problems[p] = true
		troubles++
		switch {
		case logged:
		case p.Warning:
			w.cfg.Logger.WarnContext(ctx, "signing key needs attention", "environment", e.id, "path", p.Path, "reason", p.Reason)
		default:
			w.cfg.Logger.ErrorContext(ctx, "signing key refused or overruled", "environment", e.id, "path", p.Path, "reason", p.Reason)
		}
	}
	return troubles
}
