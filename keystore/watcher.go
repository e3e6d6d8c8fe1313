package keystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

// Config is what a Watcher needs.
type Config struct {
	// Source is read; the Watcher does not close it.
	Source Source
	// Driver names the source in metrics: memory, file, vault.
	Driver string
	// Interval is the longest time between two readings of one environment: up
	// to 20 % less, so that replicas and environments spread. 0: 15 s.
	Interval time.Duration
	// RoundTimeout bounds the first reading of all environments in Start and
	// Reload together, so that an absent source cannot hold the process up.
	// 0: 10 s.
	RoundTimeout time.Duration
	// LoadTimeout bounds one reading of one environment. 0: 15 s.
	LoadTimeout time.Duration
	// OnChange is called with each new snapshot whose keys differ from those of
	// the one before, one call at a time, in order. It must not call the
	// Watcher, except Snapshot. May be nil.
	OnChange   func(Snapshot)
	Logger     *slog.Logger          // nil: slog.Default()
	Now        func() time.Time      // nil: time.Now
	Registerer prometheus.Registerer // nil: metrics are not registered
}

const (
	defaultInterval     = 15 * time.Second
	defaultRoundTimeout = 10 * time.Second
	defaultLoadTimeout  = 15 * time.Second
	firstBackoff        = time.Second
	jitter              = 0.2
	// remindEvery spaces the log lines about a source that stays unavailable.
	remindEvery = 5 * time.Minute
	// atOnce is how many environments are read at the same time.
	atOnce = 4
)

func (c *Config) setDefaults() {
	orDuration := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	orDuration(&c.Interval, defaultInterval)
	orDuration(&c.RoundTimeout, defaultRoundTimeout)
	orDuration(&c.LoadTimeout, defaultLoadTimeout)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the one place where the real clock is the default
	}
	if c.OnChange == nil {
		c.OnChange = func(Snapshot) {}
	}
}

// Watcher keeps a Snapshot of every environment's keys up to date. Each
// environment is read by a goroutine of its own, a few at a time.
//
// A source that is unavailable changes nothing: the last good keys stay, and
// the environment is tried again after 1 s, 2 s, … up to Interval. Keys that
// contradict each other (ErrSeveralStateless) change nothing either, but are
// never accepted at the start. What the source says is gone is gone at once.
type Watcher struct {
	cfg      Config
	metrics  *metrics
	slots    chan struct{} // holds a token per reading in progress
	snapshot atomic.Pointer[Snapshot]
	loops    sync.WaitGroup

	// mu guards what follows and every environment's fields, and is held while
	// OnChange runs, so that calls come in order. No I/O happens under it. An
	// environment's busy is taken before mu, never after.
	mu           sync.Mutex
	environments map[playback.EnvironmentID]*environment
	ctx          context.Context // of the loops; nil until Start succeeded
	cancel       context.CancelFunc
	started      bool
	stopped      bool
}

// NewWatcher returns a Watcher that does nothing until Start. It panics if the
// registerer holds the metrics of another Watcher already.
func NewWatcher(cfg Config) *Watcher {
	cfg.setDefaults()
	w := &Watcher{
		cfg:          cfg,
		metrics:      newMetrics(cfg.Registerer, cfg.Driver),
		slots:        make(chan struct{}, atOnce),
		environments: map[playback.EnvironmentID]*environment{},
	}
	w.snapshot.Store(&Snapshot{})
	return w
}

// Snapshot returns the keys in force. It never waits.
func (w *Watcher) Snapshot() Snapshot { return *w.snapshot.Load() }

// SetEnvironments says which environments to watch. After Start, environments
// that are not among them lose their keys at once, and reading the new ones
// begins in the background; Reload waits for it.
func (w *Watcher) SetEnvironments(ids []playback.EnvironmentID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := make(map[playback.EnvironmentID]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
		if w.environments[id] == nil {
			e := newEnvironment(id)
			w.environments[id] = e
			w.metrics.show(id, e.keys, 0)
			w.watchLocked(e, 0)
		}
	}
	for id, e := range w.environments {
		if !wanted[id] {
			delete(w.environments, id)
			e.gone = true
			e.cancel()
			w.metrics.forget(id)
		}
	}
	w.publishLocked()
}

// Start reads every environment once, all within RoundTimeout, and then keeps
// reading them in the background until Stop. An unavailable source is logged
// and no error. The error says which environments have keys that contradict
// each other; nothing runs then.
func (w *Watcher) Start(ctx context.Context) error {
	w.mu.Lock()
	if w.started || w.stopped {
		w.mu.Unlock()
		return errors.New("starting keystore watcher: it was started or stopped before")
	}
	w.started = true
	w.mu.Unlock()

	err := w.round(ctx)

	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.started = false
		return fmt.Errorf("reading signing keys: %w", err)
	case w.stopped:
		return errors.New("starting keystore watcher: it was stopped")
	}
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, e := range w.environments {
		first := time.Duration(0)
		if e.tried {
			first = w.delay(e.failures)
		}
		w.watchLocked(e, first)
	}
	w.publishLocked()
	return nil
}

// Reload reads every environment now, all within RoundTimeout. The error says
// which environments have keys that contradict each other; they keep their last
// good ones.
func (w *Watcher) Reload(ctx context.Context) error {
	err := w.round(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.publishLocked()
	if err != nil {
		return fmt.Errorf("reading signing keys: %w", err)
	}
	return nil
}

// Refresh reads one environment now and publishes what it found, because
// somebody knows that its keys have changed. An environment that is not watched
// is left alone.
func (w *Watcher) Refresh(ctx context.Context, env playback.EnvironmentID) {
	w.mu.Lock()
	e := w.environments[env]
	w.mu.Unlock()
	if e == nil {
		return
	}
	_ = w.refresh(ctx, e) // logged and counted where it happens
	w.mu.Lock()
	defer w.mu.Unlock()
	w.publishLocked()
}

// Stop ends the background readings and waits for them. The last snapshot
// stays. Stop may be called more than once, and without Start.
func (w *Watcher) Stop() {
	w.mu.Lock()
	w.stopped = true
	if w.cancel != nil {
		w.cancel()
	}
	w.mu.Unlock()
	w.loops.Wait()
}

// round reads every environment once and settles, but does not publish.
func (w *Watcher) round(ctx context.Context) error {
	w.mu.Lock()
	environments := make([]*environment, 0, len(w.environments))
	for _, e := range w.environments {
		environments = append(environments, e)
	}
	w.mu.Unlock()

	bounded, cancel := context.WithTimeout(ctx, w.cfg.RoundTimeout)
	defer cancel()
	rejections := make([]error, len(environments))
	var all sync.WaitGroup
	for i, e := range environments {
		all.Go(func() {
			if err := w.refresh(bounded, e); errors.Is(err, ErrSeveralStateless) {
				rejections[i] = fmt.Errorf("environment %s: %w", e.id, err)
			}
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil { // the caller gave up, not the round's own bound
		return err
	}
	return errors.Join(rejections...)
}

// watchLocked starts an environment's loop, if the Watcher runs.
func (w *Watcher) watchLocked(e *environment, first time.Duration) {
	if w.ctx == nil || w.stopped {
		return
	}
	ctx, cancel := context.WithCancel(w.ctx)
	e.cancel = cancel
	w.loops.Go(func() { w.watch(ctx, e, first) })
}

// watch reads one environment again and again until ctx ends.
func (w *Watcher) watch(ctx context.Context, e *environment, first time.Duration) {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		_ = w.refresh(ctx, e) // logged and counted where it happens
		w.mu.Lock()
		w.publishLocked()
		delay := w.delay(e.failures)
		w.mu.Unlock()
		timer.Reset(delay)
	}
}

// delay returns how long to wait before reading an environment again.
func (w *Watcher) delay(failures int) time.Duration {
	delay := w.cfg.Interval
	if failures > 0 && failures < 30 { // beyond, the shift would overflow
		delay = min(delay, firstBackoff<<(failures-1))
	}
	return time.Duration(float64(delay) * (1 - jitter*rand.Float64())) //nolint:gosec // spreads load, guards nothing
}

// publishLocked stores a snapshot of what the environments hold now, and calls
// OnChange if any keys differ.
func (w *Watcher) publishLocked() {
	last := w.snapshot.Load()
	next := Snapshot{views: make(map[playback.EnvironmentID]view, len(w.environments))}
	changed := false
	for id, e := range w.environments {
		keys := last.views[id].keys
		if !keys.Equal(e.keys) {
			keys, changed = e.keys, true
		}
		next.views[id] = view{keys: keys, tried: e.tried, read: e.lastSuccess, failing: e.failures > 0 || e.kept}
	}
	for id, old := range last.views {
		if _, stays := next.views[id]; !stays && len(old.keys.Keys) > 0 {
			changed = true
		}
	}
	w.snapshot.Store(&next)
	if changed {
		w.cfg.OnChange(next)
	}
}
