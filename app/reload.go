package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/playgate/playgate/collector"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/playback"
)

// reloadTimeout bounds a reload as a whole.
const reloadTimeout = 15 * time.Second

// errNoEnvironments refuses a reload that would take everything away: that is
// what an emptied or truncated file looks like.
var errNoEnvironments = errors.New("the configuration has no environment any more; stop the gateway if that is meant")

// errReloadTimeout is the cause of a reload that took too long.
var errReloadTimeout = fmt.Errorf("it took longer than %s", playback.FormatDuration(reloadTimeout))

// Reload reads the configuration and everything it names again: rules, tenants,
// viewers' issuers, certificates and keys. All that can fail is done first; a
// problem leaves the old state fully in force, in the log and in a metric. No
// request is dropped or sees a mixture. It waits a moment for files that are
// being written.
//
// It is abandoned when the context ends, when it takes longer than
// reloadTimeout, and when the gateway stops (ErrStopped). Before the new state
// is in force the old one stays; after that only the reading of keys is left
// out, which goes on in the background.
//
// Signing keys have a state of their own: where an environment's new ones
// contradict each other, its last good ones stay, whatever became of the rest;
// the error is then a *KeysError.
func (a *App) Reload(ctx context.Context) error {
	ctx, release := a.reloadContext(ctx)
	defer release()
	if err := a.reloading.acquire(ctx); err != nil {
		return err
	}
	defer a.reloading.release()
	a.watch.settle(ctx)
	if err := a.reload(ctx); err != nil {
		return a.refuseReload(ctx, err)
	}
	a.metrics.reloadDone.Inc()
	if err := a.keys.Reload(ctx); err != nil {
		if ctx.Err() != nil {
			a.log.Warn("reloaded, but the reading of signing keys was abandoned; it goes on in the background", "cause", context.Cause(ctx))
			return &KeysError{context.Cause(ctx)}
		}
		a.log.Error("reloaded, but signing keys were refused and their last good ones stay", "error", err)
		return &KeysError{err}
	}
	a.log.Info("reloaded")
	return nil
}

// refuseReload reports a reload that changed nothing. One that the end of the
// gateway interrupts is no failure.
func (a *App) refuseReload(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		if errors.Is(cause, ErrStopped) {
			a.log.Info("reload abandoned: the gateway stops")
			return cause
		}
		err = fmt.Errorf("abandoned: %w", err)
	}
	a.metrics.reloadFailed.Inc()
	a.metrics.reloadGood.Set(0)
	a.log.Error("reload refused, the old configuration stays in force", "error", err)
	return fmt.Errorf("reloading: %w", err)
}

// reloadContext returns the context of one reload.
func (a *App) reloadContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	ctx, end := context.WithTimeoutCause(ctx, reloadTimeout, errReloadTimeout)
	stop := context.AfterFunc(a.life.ending, func() { cancel(ErrStopped) })
	if a.life.ending.Err() != nil { // AfterFunc would tell, but a moment later
		cancel(ErrStopped)
	}
	return ctx, func() { stop(); end(); cancel(nil) }
}

// exclusive is a mutex whose wait ends with a context.
type exclusive chan struct{}

func newExclusive() exclusive { return make(exclusive, 1) }

func (e exclusive) acquire(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case e <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (e exclusive) release() { <-e }

// KeysError says that a reload took effect, except for signing keys that
// contradict each other or were not read in time.
type KeysError struct{ Err error }

// Error returns the cause.
func (e *KeysError) Error() string { return "reloading signing keys: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *KeysError) Unwrap() error { return e.Err }

func (a *App) reload(ctx context.Context) error {
	allocated := collector.Allocated()
	next, err := a.loadNext(ctx)
	if err != nil {
		return err
	}
	inForce := a.state.Load()
	if len(next.environments) == 0 && len(inForce.environments) > 0 {
		return errNoEnvironments
	}
	if err := a.adopt(ctx, next); err != nil {
		return err
	}
	for _, path := range configs.RestartOnly(a.started, next.loaded.Config) {
		a.log.Warn("a changed setting takes a restart", "path", path)
	}
	a.serving.Go(func() { collector.Release(allocated) })
	return nil
}

// loadNext loads the configuration, or gives up when the context ends. What was
// begun then ends by itself, and changes nothing: a file system that hangs cannot
// be interrupted. There is one of these at a time.
func (a *App) loadNext(ctx context.Context) (*state, error) {
	if err := a.loading.acquire(ctx); err != nil {
		return nil, fmt.Errorf("an earlier reload still waits for a file: %w", err)
	}
	type result struct {
		next *state
		seen fileStates
		err  error
	}
	done := make(chan result, 1)
	go func() {
		defer a.loading.release()
		var r result
		r.next, r.seen, r.err = load(a.opts.Path, a.opts.Environ, a.inherited)
		done <- r
	}()
	select {
	case r := <-done:
		a.watch.loaded(r.seen, r.err != nil)
		return r.next, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// adopt puts a state in force: the issuers first, because their list may be
// refused, then the one swap that requests see.
func (a *App) adopt(ctx context.Context, next *state) error {
	syncers, err := a.catalogues.prepare(ctx, next)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := a.identity.SetIssuers(next.issuers); err != nil {
		return fmt.Errorf("setting issuers: %w", err)
	}
	if a.geo != nil {
		next.edge.SetLocator(a.geo)
	}
	a.putShadows(next)
	before := a.state.Load()
	a.state.Store(next)
	a.inherited.compiler.Forget()
	a.tellRevisions(before, next)
	a.catalogues.run(syncers, next.environments)
	a.ring.SetEnvironments(next.environments) // first: it takes only keys of environments that it knows
	a.keys.SetEnvironments(next.environments)
	a.server.SetAccessLog(next.loaded.Config.Log.Access.String())
	a.level.Set(levelOf(next.loaded.Config.Log.Level))
	a.metrics.reloadGood.Set(1)
	a.metrics.loadedAt.SetToCurrentTime()
	for _, w := range next.loaded.Warnings {
		a.log.Warn("dangerous configuration", "path", w.Path, "warning", w.Message)
	}
	for _, name := range next.loaded.Ignored {
		a.log.Warn("an environment variable names no setting and is ignored", "name", name)
	}
	return nil
}

func levelOf(name string) slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(name)) // configs lets only slog's names pass
	return level
}
