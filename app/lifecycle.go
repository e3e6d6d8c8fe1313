package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/playgate/playgate/playback"
)

// drainTimeout bounds how long requests in flight may hold up a stop.
const drainTimeout = 20 * time.Second

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
}

func (l *lifecycle) init() {
	l.stopped = make(chan struct{})
	l.ending, l.end = context.WithCancel(context.Background())
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
		delay := a.state.Load().loaded.Config.Server.DrainDelay
		a.log.Info("draining", "delay", playback.FormatDuration(delay))
		wait(delay, a.hurry)
		if quiesce(a.listener) {
			wait(emptyQueue, nil)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	_ = a.reloading.acquire(ctx) // one that is being put in force is whole before it is undone; none begins any more
	a.life.stopErr = a.life.undo(ctx)
	close(a.life.stopped)
	a.log.Info("stopped")
	return a.life.stopErr
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

// Signals catches the signals that Run acts on. It is called before New, so
// that a signal that comes early is neither lost nor deadly.
func Signals() (signals <-chan os.Signal, stop func()) {
	caught := make(chan os.Signal, 4)
	signal.Notify(caught, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return caught, func() { signal.Stop(caught) }
}

// Run starts the gateway, reloads on SIGHUP, and stops it on SIGTERM, SIGINT,
// the end of ctx, or a listener's failure. A second SIGTERM or SIGINT skips
// what is left of drain_delay. nil signals: none are expected.
func (a *App) Run(ctx context.Context, signals <-chan os.Signal) error {
	failed := a.startUnlessSignalled(ctx, signals)
	if failed == nil {
		failed = a.serveLoop(ctx, signals)
	}
	if errors.Is(failed, errSignalled) {
		failed = nil
	}
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop() }()
	var once sync.Once
	for {
		select {
		case err := <-stopped:
			return errors.Join(failed, err)
		case s := <-signals:
			if s != syscall.SIGHUP {
				once.Do(func() { close(a.hurry) })
			}
		}
	}
}

// errSignalled ends a start that was told to stop.
var errSignalled = errors.New("told to stop while starting")

// startUnlessSignalled starts, and gives up at once on SIGTERM or SIGINT: a
// start may wait for a Vault that does not answer.
func (a *App) startUnlessSignalled(ctx context.Context, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.Start(ctx) }()
	for {
		select {
		case err := <-done:
			return err
		case s := <-signals:
			if s != syscall.SIGHUP {
				cancel()
				return errors.Join(errSignalled, <-done)
			}
		}
	}
}

// serveLoop waits for a reason to stop; SIGHUP is none. A reload runs beside it,
// and is abandoned when it returns.
func (a *App) serveLoop(ctx context.Context, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(ErrStopped)
	wanted := make(chan struct{}, 1) // SIGHUPs that come during a reload are one
	a.serving.Go(func() { a.reloadWhenWanted(ctx, wanted) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-a.failed:
			return err
		case s := <-signals:
			if s != syscall.SIGHUP {
				return nil
			}
			select {
			case wanted <- struct{}{}:
			default:
			}
		}
	}
}

func (a *App) reloadWhenWanted(ctx context.Context, wanted <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-wanted:
			a.clock.Believe() // who sends SIGHUP has looked at the alarm
			_ = a.Reload(ctx) // logged and counted there; the old state stays in force
		}
	}
}
