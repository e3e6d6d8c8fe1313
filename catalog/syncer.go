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
	// maxRechecks is how often Mux is asked again for an answer that is newer than
	// an event: after one second, then after twice as long each time, for two
	// minutes in all.
	maxRechecks = 7
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
	Lookup  bool
	Logger  *slog.Logger
	Metrics *Metrics // nil: counts nothing
	Now     func() time.Time
}

// Syncer keeps one environment's catalogue in step with Mux's API: it reads
// everything once in a while, asks again about what is in use, and looks up what
// is not known. Run does the first two beside the requests.
type Syncer struct {
	cfg     SyncConfig
	queue   chan target
	waiting waiting
	lookups lookups
	failing bool // Run's: the last attempt failed
	background
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
	mu       sync.Mutex
	rechecks map[target]recheck
}

// recheck is a question to Mux about an object.
type recheck struct {
	since int64 // the version that the answer must be newer than; 0: any answer will do
	asked int   // how often that was asked before
}

// add returns whether the object is in the queue already; then the newer of the
// two questions is asked.
func (w *waiting) add(t target, r recheck) (queued bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	have, queued := w.rechecks[t]
	if !queued || have.since < r.since {
		w.rechecks[t] = r
	}
	return queued
}

func (w *waiting) take(t target) recheck {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rechecks[t]
	delete(w.rechecks, t)
	return r
}

// NewSyncer returns a Syncer. It asks nothing before Run.
func NewSyncer(cfg SyncConfig) *Syncer {
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	if cfg.LookupMux == nil {
		cfg.LookupMux = cfg.Mux
	}
	return &Syncer{cfg: cfg, queue: make(chan target, queued), lookups: newLookups(), waiting: waiting{rechecks: map[target]recheck{}}}
}

// Recheck asks Mux about an object; see Rechecker. false: too many wait already.
func (s *Syncer) Recheck(kind store.Kind, id string, since time.Time) bool {
	return s.enqueue(target{kind, id}, recheck{since: since.UnixMicro()})
}

func (s *Syncer) enqueue(t target, r recheck) bool {
	if s.waiting.add(t, r) {
		return true
	}
	select {
	case s.queue <- t:
		return true
	default:
		s.waiting.take(t)
		return false
	}
}

// settle has Mux asked again later, if the answer was too old, or there was
// none. An answer has whole seconds, so it may be as old as the event that it was
// asked for.
func (s *Syncer) settle(ctx context.Context, t target, r recheck, answered int64) {
	if r.since == 0 || answered > r.since || r.asked >= maxRechecks {
		return
	}
	r.asked++
	time.AfterFunc(time.Second<<(r.asked-1), func() {
		if ctx.Err() == nil {
			s.enqueue(t, r)
		}
	})
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
		s.enqueue(t, recheck{})
	}
	ticker := time.NewTicker(max(time.Second/4, s.cfg.MaxAge/sweeps))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-s.queue:
			r := s.waiting.take(t)
			s.settle(ctx, t, r, s.check(ctx, t))
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
		s.check(ctx, t)
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
// version, 0 if there is none.
func (s *Syncer) check(ctx context.Context, t target) int64 {
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
	if err != nil {
		return 0
	}
	return o.Version
}

// report logs when Mux or the store begin to fail, and when that is over.
func (s *Syncer) report(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	switch failed := err != nil; {
	case failed && !s.failing:
		s.cfg.Logger.Error("the catalogue falls behind Mux", "environment", s.cfg.Environment, "doing", what, "error", err)
	case !failed && s.failing:
		s.cfg.Logger.Info("the catalogue hears from Mux again", "environment", s.cfg.Environment)
	}
	s.failing = err != nil
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
	mine, err := records.ClaimSync(ctx, env, store.SyncClaim{Due: began.Add(-readAgain), Now: began, Until: began.Add(claimFor)})
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
		if !s.enqueue(t, recheck{}) {
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
