package keystore

import (
	"context"
	"errors"
	"time"

	"github.com/playgate/playgate/playback"
)

// environment is what a Watcher knows of one environment. Except for id and
// busy its fields are guarded by the Watcher's mu.
type environment struct {
	id playback.EnvironmentID
	// busy holds a token while the environment is being read, so that a later
	// reading never settles before an earlier one.
	busy chan struct{}

	cancel      context.CancelFunc // ends the loop
	gone        bool               // no longer watched: what is still being read is dropped
	keys        Keyset             // the last good ones
	tried       bool
	failures    int              // in a row: source unavailable
	lastSuccess time.Time        // zero: never
	lastLogged  time.Time        // when unavailability was last logged
	rejected    bool             // the last reading's keys contradicted each other
	problems    map[Problem]bool // of the last reading: whether it was logged
}

func newEnvironment(id playback.EnvironmentID) *environment {
	return &environment{id: id, busy: make(chan struct{}, 1), cancel: func() {}}
}

// refresh reads an environment and settles what came of it; publishing is left
// to the caller. The error has been logged and counted.
func (w *Watcher) refresh(ctx context.Context, e *environment) error {
	var read reading
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
		read = w.read(ctx, e.id)
	case <-ctx.Done():
		read.err = ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.gone || errors.Is(ctx.Err(), context.Canceled) {
		return read.err // nobody asks any more: this says nothing about the source
	}
	w.settleLocked(ctx, e, read)
	return read.err
}

// reading is what came of reading an environment once.
type reading struct {
	keys     Keyset
	problems []Problem
	err      error
}

func (w *Watcher) read(ctx context.Context, id playback.EnvironmentID) reading {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return reading{err: ctx.Err()}
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.LoadTimeout)
	defer cancel()
	keys, problems, err := Load(ctx, w.cfg.Source, id)
	return reading{keys, problems, err}
}

// settleLocked takes over a reading, or keeps the last good keys.
func (w *Watcher) settleLocked(ctx context.Context, e *environment, read reading) {
	e.tried = true
	switch {
	case read.err == nil:
		w.acceptLocked(ctx, e, read.keys)
	case errors.Is(read.err, ErrSeveralStateless):
		w.rejectLocked(ctx, e, read.err)
	default:
		w.missLocked(ctx, e, read.err)
		return // problems and gauges are those of the last answer
	}
	troubles := w.reportLocked(ctx, e, read.problems)
	if e.rejected {
		troubles++
	}
	w.metrics.show(e.id, e.keys, troubles)
}

func (w *Watcher) acceptLocked(ctx context.Context, e *environment, keys Keyset) {
	first := e.lastSuccess.IsZero()
	if e.failures > 0 || e.rejected {
		w.cfg.Logger.InfoContext(ctx, "signing keys can be read again", "environment", e.id)
	}
	e.failures, e.rejected, e.lastSuccess = 0, false, w.cfg.Now()
	w.metrics.succeeded(e.id, e.lastSuccess)
	if !first && e.keys.Equal(keys) {
		return
	}
	e.keys = keys
	if active, ok := keys.Active(); ok {
		w.cfg.Logger.InfoContext(ctx, "signing keys read", "environment", e.id, "active", active.ID, "keys", len(keys.Keys))
	} else {
		w.cfg.Logger.ErrorContext(ctx, "no active signing key: the environment cannot sign", "environment", e.id, "keys", len(keys.Keys))
	}
}

func (w *Watcher) rejectLocked(ctx context.Context, e *environment, err error) {
	w.metrics.rejected.Inc()
	e.failures = 0 // the source answered: no need to ask it more often
	if !e.rejected {
		w.cfg.Logger.ErrorContext(ctx, "signing keys contradict each other: the last good ones stay in force",
			"environment", e.id, "keys", len(e.keys.Keys), "error", err)
	}
	e.rejected = true
}

func (w *Watcher) missLocked(ctx context.Context, e *environment, err error) {
	w.metrics.unavailable.Inc()
	e.failures++
	now := w.cfg.Now()
	if e.failures > 1 && now.Sub(e.lastLogged) < remindEvery {
		return
	}
	e.lastLogged = now
	if e.lastSuccess.IsZero() {
		w.cfg.Logger.ErrorContext(ctx, "signing keys cannot be read: the environment cannot sign until they can",
			"environment", e.id, "driver", w.cfg.Driver, "error", err)
		return
	}
	w.cfg.Logger.ErrorContext(ctx, "signing keys cannot be read: the last good ones stay in force",
		"environment", e.id, "driver", w.cfg.Driver, "keys", len(e.keys.Keys),
		"age", now.Sub(e.lastSuccess).Round(time.Second), "error", err)
}

// reportLocked logs problems that were not there at the last reading, or that
// have not passed since. It returns how many there are, but for those that may
// pass.
func (w *Watcher) reportLocked(ctx context.Context, e *environment, problems []Problem) (troubles int) {
	known := e.problems
	e.problems = make(map[Problem]bool, len(problems))
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
