package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/playgate/playgate/configs"
)

// reloadTimeout bounds how long a reload may read keys.
const reloadTimeout = 15 * time.Second

// errNoEnvironments refuses a reload that would take everything away: that is
// what an emptied or truncated file looks like.
var errNoEnvironments = errors.New("the configuration has no environment any more; stop the gateway if that is meant")

// Reload reads the configuration and everything it names again: rules, tenants,
// viewers' issuers, certificates and keys. All that can fail is done first; a
// problem leaves the old state fully in force, in the log and in a metric. No
// request is dropped or sees a mixture. It waits a moment for files that are
// being written.
//
// Signing keys have a state of their own: where an environment's new ones
// contradict each other, its last good ones stay, whatever became of the rest;
// the error is then a *KeysError.
func (a *App) Reload() error {
	a.reloadMu.Lock()
	defer a.reloadMu.Unlock()
	if a.life.now() == stopping {
		return ErrStopped
	}
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	a.watch.settle(ctx)
	if err := a.reload(); err != nil {
		a.metrics.reloadFailed.Inc()
		a.metrics.reloadGood.Set(0)
		a.log.Error("reload refused, the old configuration stays in force", "error", err)
		return fmt.Errorf("reloading: %w", err)
	}
	a.metrics.reloadDone.Inc()
	if err := a.keys.Reload(ctx); err != nil {
		a.log.Error("reloaded, but signing keys were refused and their last good ones stay", "error", err)
		return &KeysError{err}
	}
	a.log.Info("reloaded")
	return nil
}

// KeysError says that a reload took effect, except for signing keys that
// contradict each other.
type KeysError struct{ Err error }

// Error returns the cause.
func (e *KeysError) Error() string { return "reloading signing keys: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *KeysError) Unwrap() error { return e.Err }

func (a *App) reload() (err error) {
	next, seen, err := load(a.opts.Path, a.opts.Environ, a.rules)
	defer func() { a.watch.loaded(seen, err != nil) }()
	if err != nil {
		return err
	}
	inForce := a.state.Load()
	if len(next.environments) == 0 && len(inForce.environments) > 0 {
		return errNoEnvironments
	}
	if err := a.adopt(next); err != nil {
		return err
	}
	for _, path := range configs.RestartOnly(inForce.loaded.Config, next.loaded.Config) {
		a.log.Warn("a changed setting takes a restart", "path", path)
	}
	return nil
}

// adopt puts a state in force: the issuers first, because their list may be
// refused, then the one swap that requests see.
func (a *App) adopt(next *state) error {
	syncers, err := a.catalogues.prepare(next)
	if err != nil {
		return err
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
	a.tellRevisions(before, next)
	a.catalogues.run(syncers, next.environments)
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
