package app

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/playgate/playgate/telemetry"
)

// ErrStopTimeout is returned by Run when the gateway does not stop in time.
var ErrStopTimeout = errors.New("the gateway did not stop in time")

// errHurried is the cause of what a second signal cuts off.
var errHurried = errors.New("a second signal stops the gateway at once")

// errSignalled ends a start that was told to stop.
var errSignalled = errors.New("told to stop while starting")

// Signals catches the signals that Run acts on. It is called before New, so
// that a signal that comes early is neither lost nor deadly. SIGPIPE is ignored:
// whoever reads the log may go before the gateway does.
func Signals() (signals <-chan os.Signal, stop func()) {
	signal.Ignore(syscall.SIGPIPE)
	caught := make(chan os.Signal, 4)
	signal.Notify(caught, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return caught, func() {
		signal.Stop(caught)
		signal.Reset(syscall.SIGPIPE)
	}
}

// NewUnlessSignalled is New, and returns ErrStopped when SIGTERM or SIGINT comes
// first: a file system or a database that is asked may not answer. Nothing has
// been acknowledged by then, so what was begun is left to the end of the process.
func NewUnlessSignalled(opts Options, signals <-chan os.Signal) (*App, error) {
	type result struct {
		app *App
		err error
	}
	done := make(chan result, 1)
	go func() {
		a, err := New(opts)
		done <- result{a, err}
	}()
	for {
		select {
		case r := <-done:
			return r.app, r.err
		case s := <-signals:
			if s != syscall.SIGHUP {
				return nil, ErrStopped
			}
		}
	}
}

// Run starts the gateway, reloads on SIGHUP, and stops it on SIGTERM, SIGINT,
// the end of ctx, or a listener's failure. A second SIGTERM or SIGINT stops it at
// once: neither drain_delay nor requests under way hold it up any longer. nil
// signals: none are expected.
//
// A stop that takes longer than drain_delay and drainTimeout, or hurriedTimeout
// after the second signal, is given up: Run writes the stacks of all goroutines
// to the log's writer and returns an error. The caller ends the process then.
func (a *App) Run(ctx context.Context, signals <-chan os.Signal) error {
	failed := a.startUnlessSignalled(ctx, signals)
	if failed == nil {
		failed = a.serveLoop(ctx, signals)
	}
	if errors.Is(failed, errSignalled) {
		failed = nil
	}
	return errors.Join(failed, a.stopInTime(signals))
}

// startUnlessSignalled starts, and gives up at once on SIGTERM or SIGINT: a
// start may wait for a Vault that does not answer. Stop waits for what of it is
// still under way.
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
				return errSignalled
			}
		}
	}
}

// stopInTime stops, and gives up when that takes too long.
func (a *App) stopInTime(signals <-chan os.Signal) error {
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop() }()
	limit := time.NewTimer(a.drainDelay() + drainTimeout + stopSlack)
	defer limit.Stop()
	for {
		select {
		case err := <-stopped:
			if errors.Is(err, context.DeadlineExceeded) { // of drainTimeout
				a.writeStacks()
			}
			return err
		case <-limit.C:
			_ = a.closeLog() // the stacks come last
			a.writeStacks()
			return ErrStopTimeout
		case s := <-signals:
			if s != syscall.SIGHUP && a.life.hurry.Err() == nil {
				a.log.Warn("a second signal stops the gateway at once")
				a.life.hasten(errHurried)
				limit.Reset(hurriedTimeout)
			}
		}
	}
}

// maxStacks bounds what writeStacks writes.
const maxStacks = 4 << 20

// writeStacks writes the stacks of all goroutines to where the log goes, which
// may be a pipe that nobody reads.
func (a *App) writeStacks() {
	text := make([]byte, maxStacks)
	text = text[:runtime.Stack(text, true)]
	_, _ = telemetry.NewBounded(a.opts.Log, logTime).Write(text) // there is nowhere else to tell
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
			_ = a.Reload(ctx) // logged and counted there; the old state stays in force
		}
	}
}
