package keystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

// Config is what a Watcher needs.
type Config struct {
	// Source is read; the Watcher does not close it. If it is a Comparer,
	// environments in which nothing has changed are not read again.
	Source Source
	// Driver names the source in metrics: memory, file, vault.
	Driver string
	// Interval is the longest time between two readings of one environment: up
	// to 20 % less, so that replicas and environments spread. 0: 15 s.
	Interval time.Duration
	// StallTimeout is how long Start and Reload wait while no environment can be
	// read, so that an absent source cannot hold the process up. As long as some
	// can, they wait for all. 0: 10 s.
	StallTimeout time.Duration
	// LoadTimeout bounds one reading of one environment. 0: 15 s.
	LoadTimeout time.Duration
	// OnChange is called with an environment's keys when they were read for the
	// first time, and whenever they differ from those before; with none when the
	// environment is no longer watched. Calls for one environment come one at a
	// time and in order, those for several at once. May be nil.
	OnChange   func(playback.EnvironmentID, Keyset)
	Logger     *slog.Logger          // nil: slog.Default()
	Now        func() time.Time      // nil: time.Now
	Registerer prometheus.Registerer // nil: metrics are not registered
}

const (
	defaultInterval     = 15 * time.Second
	defaultStallTimeout = 10 * time.Second
	defaultLoadTimeout  = 15 * time.Second
	firstBackoff        = time.Second
	jitter              = 0.2
	// watchedInterval is the longest time between two looks at an environment of
	// which the source tells changes, unless Interval is longer.
	watchedInterval = 30 * time.Second
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
	orDuration(&c.StallTimeout, defaultStallTimeout)
	orDuration(&c.LoadTimeout, defaultLoadTimeout)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the one place where the real clock is the default
	}
	if c.OnChange == nil {
		c.OnChange = func(playback.EnvironmentID, Keyset) {}
	}
}

// Watcher keeps the keys of every environment up to date. A schedule says which
// environment is due; a few are read at the same time. What is found in one
// environment costs nothing in another.
//
// A source that is unavailable changes nothing: the last good keys stay, and
// the environment is tried again after 1 s, 2 s, … up to Interval. Keys that
// contradict each other (ErrSeveralStateless) change nothing either, but are
// never accepted at the start. What the source says is gone is gone at once.
type Watcher struct {
	cfg      Config
	comparer Comparer // nil: the source is none
	metrics  *metrics
	slots    chan struct{} // holds a token per reading in progress
	loops    sync.WaitGroup
	wake     chan struct{} // holds one signal: the schedule has an earlier entry

	// environments is replaced as a whole, under mu; readers take no lock.
	environments atomic.Pointer[map[playback.EnvironmentID]*environment]

	// mu guards what follows and the fields of every environment that say so. No
	// I/O happens under it, and OnChange is not called under it. An environment's
	// busy and delivery are taken before mu, never after.
	mu        sync.Mutex
	schedule  schedule
	queue     []*environment  // due, and waiting for a worker
	workers   int             // that run
	unchecked []*environment  // with keys whose primes were not looked at
	ctx       context.Context //nolint:containedctx // of the background readings; nil until Start succeeded
	cancel    context.CancelFunc
	started   bool
	stopped   bool
}

// NewWatcher returns a Watcher that does nothing until Start. It panics if the
// registerer holds the metrics of another Watcher already.
func NewWatcher(cfg Config) *Watcher {
	cfg.setDefaults()
	w := &Watcher{
		cfg:     cfg,
		metrics: newMetrics(cfg.Registerer, cfg.Driver),
		slots:   make(chan struct{}, atOnce),
		wake:    make(chan struct{}, 1),
	}
	if w.comparer, _ = cfg.Source.(Comparer); w.comparer != nil {
		w.comparer.Notify(w.changed)
	}
	w.environments.Store(&map[playback.EnvironmentID]*environment{})
	return w
}

// SetEnvironments says which environments to watch. After Start, environments
// that are not among them lose their keys at once, and reading the new ones
// begins in the background; Reload waits for it.
func (w *Watcher) SetEnvironments(ids []playback.EnvironmentID) {
	for _, e := range w.replaceEnvironments(ids) {
		e.delivery.Lock() // a call of OnChange that had begun is over
		if len(e.current().keys.Keys) > 0 {
			w.cfg.OnChange(e.id, Keyset{})
		}
		e.delivery.Unlock()
	}
}

// replaceEnvironments takes over a list of environments and returns those that
// are gone.
func (w *Watcher) replaceEnvironments(ids []playback.EnvironmentID) (gone []*environment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := *w.environments.Load()
	next := make(map[playback.EnvironmentID]*environment, len(ids))
	for _, id := range ids {
		e := old[id]
		if e == nil {
			e = newEnvironment(id, w.metrics)
			w.scheduleLocked(e, w.cfg.Now())
		}
		next[id] = e
	}
	for id, e := range old {
		if next[id] == nil {
			e.gone = true
			e.cancel()
			w.schedule.remove(e)
			w.metrics.forget(id)
			gone = append(gone, e)
		}
	}
	w.environments.Store(&next)
	return gone
}

// Keyset returns an environment's keys: the last good ones if its source fails
// now, none if it never answered or the environment is not watched. It never
// waits.
func (w *Watcher) Keyset(env playback.EnvironmentID) Keyset { return w.view(env).keys }

// Tried reports whether reading the environment's keys was attempted at least
// once, whatever came of it. An environment whose turn has not come yet is not
// tried.
func (w *Watcher) Tried(env playback.EnvironmentID) bool { return w.view(env).tried }

// LastRead returns when the environment's keys were last read with success,
// zero if never, and whether reading them has failed since.
func (w *Watcher) LastRead(env playback.EnvironmentID) (at time.Time, failing bool) {
	v := w.view(env)
	return v.lastRead(), v.failing.Load()
}

func (w *Watcher) view(env playback.EnvironmentID) *view {
	e := (*w.environments.Load())[env]
	if e == nil {
		return &view{}
	}
	return e.current()
}

// Start reads every environment once and then keeps reading them in the
// background until Stop. It waits until each was tried, however many there are,
// or until none could be read for StallTimeout; those that were not reached by
// then are read in the background. An unavailable source is logged and no
// error. The error says which environments have keys that contradict each
// other; nothing runs then.
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
	now := w.cfg.Now()
	for _, e := range *w.environments.Load() {
		first := now
		if e.current().tried {
			first = now.Add(w.delayLocked(e))
		}
		w.scheduleLocked(e, first)
	}
	w.loops.Go(func() { w.run(w.ctx) })
	w.loops.Go(func() { w.checkLater(w.ctx) })
	return nil
}

// Reload reads every environment now, as Start does. The error says which
// environments have keys that contradict each other; they keep their last good
// ones.
func (w *Watcher) Reload(ctx context.Context) error {
	if err := w.round(ctx); err != nil {
		return fmt.Errorf("reading signing keys: %w", err)
	}
	return nil
}

// Refresh reads one environment now and publishes what it found, because
// somebody knows that its keys have changed. An environment that is not watched
// is left alone.
func (w *Watcher) Refresh(ctx context.Context, env playback.EnvironmentID) {
	if e := (*w.environments.Load())[env]; e != nil {
		_ = w.refresh(ctx, e) // logged and counted where it happens
	}
}

// Stop ends the background readings and waits for them. The last keys stay.
// Stop may be called more than once, and without Start.
func (w *Watcher) Stop() {
	w.mu.Lock()
	w.stopped = true
	if w.cancel != nil {
		w.cancel()
	}
	w.mu.Unlock()
	w.loops.Wait()
}
