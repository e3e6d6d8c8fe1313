package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/playgate/playgate/configs"
)

// reloadTimeout bounds how long a reload may read keys.
const reloadTimeout = 15 * time.Second

// Reload reads the configuration and everything it names again: rules, tenants,
// viewers' issuers, certificates and keys. All that can fail is done first; a
// problem leaves the old state fully in force, in the log and in a metric. No
// request is dropped or sees a mixture.
func (a *App) Reload() error {
	a.reloadMu.Lock()
	defer a.reloadMu.Unlock()
	a.life.mu.Lock()
	phase := a.life.phase
	a.life.mu.Unlock()
	if phase == stopping {
		return ErrStopped
	}
	err := a.reload()
	if err != nil {
		a.metrics.reloadFailed.Inc()
		a.metrics.reloadGood.Set(0)
		a.log.Error("reload refused, the old configuration stays in force", "error", err)
		return fmt.Errorf("reloading: %w", err)
	}
	a.metrics.reloadDone.Inc()
	a.log.Info("reloaded")
	return nil
}

func (a *App) reload() error {
	next, err := load(a.opts.Path, a.opts.Environ, a.rules)
	if err != nil {
		return err
	}
	for _, path := range configs.RestartOnly(a.state.Load().loaded.Config, next.loaded.Config) {
		a.log.Warn("a changed setting takes a restart", "path", path)
	}
	if err := a.adopt(next); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	return a.keys.Reload(ctx)
}

// adopt puts a state in force: the issuers first, because their list may be
// refused, then the one swap that requests see.
func (a *App) adopt(next *state) error {
	if err := a.identity.SetIssuers(next.issuers); err != nil {
		return fmt.Errorf("setting issuers: %w", err)
	}
	a.state.Store(next)
	a.keys.SetEnvironments(next.environments)
	a.server.SetAccessLog(next.loaded.Config.Log.Access.String())
	a.level.Set(levelOf(next.loaded.Config.Log.Level))
	a.metrics.reloadGood.Set(1)
	a.metrics.loadedAt.SetToCurrentTime()
	for _, w := range next.warnings {
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

// watchedFiles returns every file that the state in force was read from.
func (a *App) watchedFiles() []string { return a.state.Load().loaded.Files }
