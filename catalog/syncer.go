package catalog

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

const (
	// readAgain is how often everything is read from Mux. What changes
	// meanwhile comes by webhook, or with the check of what is in use.
	readAgain = 24 * time.Hour
	// claimFor is how long a replica may be silent while it reads everything,
	// before another one begins.
	claimFor = 2 * time.Minute
	// sweeps is how many times per max_age the objects in use are looked for.
	sweeps = 8
	// queued bounds the objects that wait to be asked about.
	queued = 4096
	// retry is how long to wait after everything could not be read.
	retry = time.Minute
	// pageSize is how many objects Mux gives at once.
	pageSize = 100
)

// SyncConfig is what a Syncer is made of.
type SyncConfig struct {
	Environment playback.EnvironmentID
	Library     *Library
	Live        *Live
	Mux         Mux
	// LookupMux is Mux as look-ups ask it, for whom viewers wait; nil: Mux.
	LookupMux Mux
	MaxAge    time.Duration // catalog.max_age
	// Lookup: what is not known is asked for on first use (catalog.unknown:
	// lookup).
	Lookup bool
	// MaxUnknown bounds the IDs that are remembered as unknown to Mux; 0: 10,000.
	MaxUnknown int
	Logger     *slog.Logger
	Metrics    *Metrics // nil: counts nothing
	Now        func() time.Time
}

// Syncer keeps one environment's catalogue in step with Mux's API: it reads
// everything once in a while, asks again about what is in use, and looks up what
// is not known. Run does the first two beside the requests, Do what webhooks have
// left to be done.
type Syncer struct {
	cfg     SyncConfig
	queue   chan target
	waiting waiting
	lookups lookups
	failing failing
	background
}

// failing says whether the last attempt failed.
type failing struct {
	mu sync.Mutex
	is bool
}

// background is what lookups run in: it ends with Run, not with the request that
// began one.
type background struct {
	mu  sync.Mutex
	ctx context.Context //nolint:containedctx // the lifetime of Run
}

// target names an object of Mux.
type target struct {
	kind store.Kind
	id   string
}

// waiting is what is in the queue.
type waiting struct {
	mu      sync.Mutex
	targets map[target]struct{}
}

// add returns whether the object is in the queue already.
func (w *waiting) add(t target) (queued bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, queued = w.targets[t]
	w.targets[t] = struct{}{}
	return queued
}

func (w *waiting) remove(t target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.targets, t)
}

// NewSyncer returns a Syncer. It asks nothing before Run.
func NewSyncer(cfg SyncConfig) *Syncer {
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	if cfg.MaxUnknown <= 0 {
		cfg.MaxUnknown = defaultUnknown
	}
	if cfg.LookupMux == nil {
		cfg.LookupMux = cfg.Mux
	}
	return &Syncer{cfg: cfg, queue: make(chan target, queued), lookups: newLookups(cfg.MaxUnknown), waiting: waiting{targets: map[target]struct{}{}}}
}

// enqueue has Mux asked about an object by Run. false: too many wait already.
func (s *Syncer) enqueue(t target) bool {
	if s.waiting.add(t) {
		return true
	}
	select {
	case s.queue <- t:
		return true
	default:
		s.waiting.remove(t)
		return false
	}
}

// Run works until the context ends.
func (s *Syncer) Run(ctx context.Context) {
	s.set(ctx)
	s.cfg.Live.synced.Store(true)
	defer s.cfg.Live.synced.Store(false)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.readAll(ctx) })
	for t := range s.cfg.Live.ties() { // from before this process
		s.enqueue(t)
	}
	ticker := time.NewTicker(max(time.Second/4, s.cfg.MaxAge/sweeps))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-s.queue:
			s.waiting.remove(t)
			_, _ = s.check(ctx, t) // logged and counted there; the next sweep asks again
		case <-ticker.C:
			s.sweep(ctx)
		}
	}
}

func (b *background) set(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ctx = ctx
}

// get returns the context of Run, nil before it.
func (b *background) get() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ctx
}

// sweep checks what was in use since the last sweep and is old enough, and what
// has reports that disagree, one by one, or by reading everything where that
// takes fewer requests. What is not in use gives back what was made of it.
func (s *Syncer) sweep(ctx context.Context) {
	due, total := s.cfg.Live.sweep(s.cfg.Now().Add(-s.cfg.MaxAge / 2))
	if len(due) > 1 && len(due) > total/pageSize+2 {
		s.cfg.Metrics.listed.Inc()
		if s.listAll(ctx, func() error { return nil }) == nil {
			return
		}
	}
	for _, t := range due {
		if ctx.Err() != nil {
			return
		}
		_, _ = s.check(ctx, t) // logged and counted there; the next sweep asks again
	}
}

// sweep returns the objects that were used since the last sweep and were last
// heard of before, and those whose reports disagree, and how many there are in
// all.
func (l *Live) sweep(before time.Time) (due []target, total int) {
	ties := l.ties()
	look := func(n *node) bool {
		total++
		if !n.used.Swap(false) {
			n.built.Store(nil)
		} else if n.version.Load() < before.UnixMicro() {
			t := target{n.kind(), n.id}
			due = append(due, t)
			delete(ties, t)
		}
		return true
	}
	l.assets.each(look)
	l.streams.each(look)
	return slices.AppendSeq(due, maps.Keys(ties)), total
}

// check asks Mux about one object and keeps the answer. It returns the answer's
// version.
func (s *Syncer) check(ctx context.Context, t target) (version int64, err error) {
	o, found, err := s.ask(ctx, s.cfg.Mux, t)
	if err == nil {
		err = s.write(ctx, []store.Object{o})
	}
	switch {
	case err != nil:
		s.cfg.Metrics.checkFailed.Inc()
	case !found:
		s.cfg.Metrics.checkGone.Inc()
	default:
		s.cfg.Metrics.checked.Inc()
	}
	s.report(ctx, "checking what is in use", err)
	return o.Version, err
}

// report logs when Mux or the store begin to fail, and when that is over.
func (s *Syncer) report(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	s.failing.mu.Lock()
	defer s.failing.mu.Unlock()
	switch failed := err != nil; {
	case failed && !s.failing.is:
		s.cfg.Logger.Error("the catalogue falls behind Mux", "environment", s.cfg.Environment, "doing", what, "error", err)
	case !failed && s.failing.is:
		s.cfg.Logger.Info("the catalogue hears from Mux again", "environment", s.cfg.Environment)
	}
	s.failing.is = err != nil
}

func (s *Syncer) write(ctx context.Context, objects []store.Object) error {
	for i := range objects {
		objects[i].Environment = s.cfg.Environment
	}
	_, err := s.cfg.Library.Write(ctx, nil, objects)
	return err
}

// readAll reads everything whenever it is due, on one replica at a time.
func (s *Syncer) readAll(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s.readOnce(ctx)
		timer.Reset(retry)
	}
}

func (s *Syncer) readOnce(ctx context.Context) {
	began := s.cfg.Now()
	env, records := s.cfg.Environment, s.cfg.Library.store
	due := began.Add(-readAgain)
	if at := time.UnixMicro(s.cfg.Live.rewound.Load()); at.After(due) {
		due = at
	}
	mine, err := records.ClaimSync(ctx, env, store.SyncClaim{Due: due, Now: began, Until: began.Add(claimFor)})
	if err != nil || !mine {
		return // a store that is down is the store's own alarm
	}
	err = s.listAll(ctx, func() error { return records.ExtendSync(ctx, env, s.cfg.Now().Add(claimFor)) })
	if err == nil {
		s.cfg.Metrics.syncDone.Inc()
		s.cfg.Logger.Info("the catalogue was read from Mux", "environment", env, "playback_ids", s.cfg.Live.Len(), "took", playback.FormatDuration(s.cfg.Now().Sub(began)))
	} else {
		s.cfg.Metrics.syncFailed.Inc()
		if ctx.Err() == nil {
			s.cfg.Logger.Error("reading the catalogue from Mux", "environment", env, "error", err)
		}
		began = time.Time{}
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := records.EndSync(ending, env, began); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Error("giving back the reading of the catalogue", "environment", env, "error", err)
	}
}

// listAll reads every asset and live stream. What Mux did not list although it
// was known before is asked about on its own: a list whose pages move while it
// is read may miss something.
func (s *Syncer) listAll(ctx context.Context, alive func() error) error {
	var began int64
	for _, kind := range []store.Kind{store.Asset, store.LiveStream} {
		for cursor, more := "", true; more; {
			page, err := s.cfg.Mux.Page(ctx, kind, cursor)
			if err != nil {
				return err
			}
			if began == 0 {
				began = versionOf(page.At)
			}
			if err := s.keepPage(ctx, kind, page); err != nil {
				return err
			}
			if err := alive(); err != nil {
				return err
			}
			more, cursor = page.Next != "" && page.Next != cursor, page.Next
		}
	}
	for _, t := range s.cfg.Live.olderThan(began) {
		if !s.enqueue(t) {
			break // the next reading finds the rest
		}
	}
	return nil
}

func (s *Syncer) keepPage(ctx context.Context, kind store.Kind, page Page) error {
	objects := make([]store.Object, 0, len(page.Objects))
	for _, raw := range page.Objects {
		o, err := describe(kind, raw)
		if err != nil {
			s.cfg.Logger.Warn("an object of Mux is left out of the catalogue", "environment", s.cfg.Environment, "error", err)
			continue
		}
		o.Version = versionOf(page.At)
		objects = append(objects, o)
	}
	return s.write(ctx, objects)
}

// olderThan returns what was last heard of before a version.
func (l *Live) olderThan(version int64) (out []target) {
	look := func(n *node) bool {
		if n.version.Load() < version && n.ids != "" {
			out = append(out, target{n.kind(), n.id})
		}
		return true
	}
	l.assets.each(look)
	l.streams.each(look)
	return out
}
