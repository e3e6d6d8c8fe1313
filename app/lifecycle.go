package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
)

const (
	// drainTimeout bounds how long requests in flight may hold up a stop.
	drainTimeout = 20 * time.Second
	// stopSlack is what a stop may take beyond drain_delay and drainTimeout.
	stopSlack = 5 * time.Second
	// hurriedTimeout bounds a stop from the second signal on.
	hurriedTimeout = 2 * time.Second
	// logTime is how long the last lines of the log may hold up a stop.
	logTime = time.Second
)

// emptyQueue is how long the accept loop gets to take what the kernel has
// already accepted.
const emptyQueue = 50 * time.Millisecond

// ErrStopped is returned by Start and Reload once Stop was called.
var ErrStopped = errors.New("the gateway was stopped")

// ErrStarted is returned by a second Start.
var ErrStarted = errors.New("the gateway was started already")

// phase is the life of an App: it only moves forward.
type phase uint8

const (
	built phase = iota
	started
	stopping
)

// lifecycle is the part of an App that remembers what must be undone.
type lifecycle struct {
	// starting is held by Start from beginning to end, and taken by Stop before
	// it undoes anything; it is taken before mu, never after.
	starting sync.Mutex
	mu       sync.Mutex // guards phase and cleanups
	phase    phase
	cleanups []cleanup     // run last to first by Stop
	stopped  chan struct{} // closed by Stop when everything is undone
	stopErr  error         // written before stopped is closed

	// ending ends when Stop begins, and with it what must not hold up a stop.
	ending context.Context //nolint:containedctx // the life of the app itself
	end    context.CancelFunc

	// hurry ends with the second signal, and with it the waits of a stop for
	// drain_delay and for requests under way.
	hurry  context.Context //nolint:containedctx // the life of the app itself
	hasten context.CancelCauseFunc
}

func (l *lifecycle) init() {
	l.stopped = make(chan struct{})
	l.ending, l.end = context.WithCancel(context.Background())
	l.hurry, l.hasten = context.WithCancelCause(context.Background())
}

// unlessHurried returns a cleanup that waits no longer once the stop is hurried.
// What it then cuts off is an error.
func (l *lifecycle) unlessHurried(shutdown func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(l.hurry, cancel)()
		err := shutdown(ctx)
		if err != nil && l.hurry.Err() != nil {
			return fmt.Errorf("%w: %w", context.Cause(l.hurry), err)
		}
		return err
	}
}

type cleanup struct {
	name string
	run  func(context.Context) error
}

// onStop registers what Stop undoes, last first.
func (l *lifecycle) onStop(name string, run func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cleanups = append(l.cleanups, cleanup{name, run})
}

// enter moves to started, or says why it cannot.
func (l *lifecycle) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.phase {
	case started:
		return ErrStarted
	case stopping:
		return ErrStopped
	case built:
	}
	l.phase = started
	return nil
}

// now returns the phase.
func (l *lifecycle) now() phase {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase
}

// leave moves to stopping; first reports whether this call is the one that
// does the work.
func (l *lifecycle) leave() (was phase, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was, first = l.phase, l.phase != stopping
	l.phase = stopping
	l.end()
	return was, first
}

// undo runs the cleanups last to first and joins their errors.
func (l *lifecycle) undo(ctx context.Context) error {
	l.mu.Lock()
	todo := l.cleanups
	l.cleanups = nil
	l.mu.Unlock()
	var errs []error
	for _, c := range slices.Backward(todo) {
		if err := c.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// Stop drains and stops: readiness fails first, drain_delay passes so that
// balancers notice, then the listeners close, requests in flight finish, and
// everything else is undone. It is idempotent; later calls wait for the first.
func (a *App) Stop() error {
	was, first := a.life.leave()
	if !first {
		<-a.life.stopped
		return a.life.stopErr
	}
	a.life.starting.Lock() // a Start that is under way finishes first
	defer a.life.starting.Unlock()
	if was == started {
		a.server.Drain()
		delay := a.drainDelay()
		a.log.Info("draining", "delay", playback.FormatDuration(delay))
		wait(delay, a.life.hurry.Done())
		if quiesce(a.listener) {
			wait(emptyQueue, nil)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	_ = a.reloading.acquire(ctx) // one that is being put in force is whole before it is undone; none begins any more
	a.life.stopErr = a.life.undo(ctx)
	a.log.Info("stopped")
	_ = a.closeLog() // nobody is left to tell
	close(a.life.stopped)
	return a.life.stopErr
}

func (a *App) drainDelay() time.Duration {
	return a.state.Load().loaded.Config.Server.DrainDelay
}

// closeLog writes what the log still has, unless that takes longer than logTime.
func (a *App) closeLog() error {
	ctx, cancel := context.WithTimeout(context.Background(), logTime)
	defer cancel()
	return a.logs.Close(ctx)
}

// wait sleeps for d or until hurry is closed (nil: never).
func wait(d time.Duration, hurry <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hurry:
	}
}
