package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/clock"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/muxapi"
	"github.com/playgate/playgate/outbox"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// catalogues are the live catalogues of all environments, and who keeps them in
// step with Mux.
type catalogues struct {
	library *catalog.Library
	outbox  store.Outbox
	wake    func() // tells the outbox's worker of a job
	metrics *catalog.Metrics
	muxes   *muxClients
	clock   *clock.Clock
	log     *slog.Logger
	// maxUnknown bounds the IDs of each environment that Mux does not have.
	maxUnknown int

	mu      sync.Mutex      // guards what follows; held by one reload at a time, and by start
	ctx     context.Context //nolint:containedctx // the life of the app's background work; nil before Start
	syncers map[playback.EnvironmentID]*syncer
	working sync.WaitGroup
}

// syncer is a catalog.Syncer with what it was made from: a reload that changes
// nothing of it lets it go on.
type syncer struct {
	*catalog.Syncer

	client *muxapi.Client
	maxAge time.Duration
	lookup bool
	stop   context.CancelFunc // nil until it runs
}

func (s *syncer) same(other *syncer) bool {
	return s.client == other.client && s.maxAge == other.maxAge && s.lookup == other.lookup
}

func newCatalogues(s store.Store, muxes *muxClients, log *slog.Logger, registry *prometheus.Registry) (*catalogues, error) {
	library, err := catalog.NewLibrary(context.Background(), s, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "playgate_catalogue_playback_ids", Help: "Playback IDs learned from Mux, in all environments.",
	}, func() float64 { return float64(library.Len()) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "playgate_catalogue_ties",
		Help: "Assets and live streams that Mux reported in two states at one time. The stricter state counts until Mux has been asked again.",
	}, func() float64 { return float64(library.Ties()) }), prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "playgate_store_rewinds_total",
		Help: "How often the store was found to have gone back to an earlier state while the gateway ran: a backup was restored, or a server took over that was behind.",
	}, func() float64 { return float64(library.Rewind().Count) }))
	return &catalogues{
		library: library, outbox: s, wake: func() {}, metrics: catalog.NewMetrics(registry), muxes: muxes, clock: muxes.clock, log: log,
		syncers: map[playback.EnvironmentID]*syncer{},
	}, nil
}

// prepare lays the configuration of each environment over what was learned. It
// changes nothing but the state, which is not in force yet; run puts the syncers
// that it returns to work.
func (c *catalogues) prepare(ctx context.Context, next *state) (map[playback.EnvironmentID]*syncer, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := map[playback.EnvironmentID]*syncer{}
	for _, env := range next.environments {
		live, err := c.library.Live(ctx, env)
		if err != nil {
			return nil, fmt.Errorf("reading the catalogue: %w", err)
		}
		e := next.configured[env]
		view := live.View(next.known[env])
		s, err := c.syncer(e, live)
		if err != nil {
			return nil, err
		}
		finder := &catalog.Finder{View: view}
		inbox := &catalog.Inbox{Environment: env, MuxEnvironment: e.Mux.EnvironmentID, Library: c.library, Wake: c.wake, Now: c.clock.Now, Steady: c.clock.Steady}
		if s != nil {
			wanted[env], finder.Syncer, inbox.Outbox = s, s.Syncer, c.outbox
			next.jobs[env] = map[string]outbox.Handler{catalog.CheckJob: s.Do}
		}
		next.minting[env].Catalogue, next.minting[env].Finder = view, finder
		next.inboxes[env] = inbox
	}
	return wanted, nil
}

// syncer returns the environment's, the one that runs if it need not change; nil
// if Mux cannot be asked.
func (c *catalogues) syncer(e *configs.Environment, live *catalog.Live) (*syncer, error) {
	client, err := c.muxes.client(e)
	if client == nil || err != nil {
		return nil, err
	}
	s := &syncer{client: client, maxAge: e.Catalog.MaxAge, lookup: e.Catalog.Unknown == "lookup"}
	if running := c.syncers[e.ID]; running != nil && running.same(s) {
		return running, nil
	}
	s.Syncer = catalog.NewSyncer(catalog.SyncConfig{
		Environment: e.ID, Library: c.library, Live: live, Mux: video{client, muxapi.Background}, LookupMux: video{client, muxapi.LookUp},
		MaxAge: s.maxAge, Lookup: s.lookup, MaxUnknown: c.maxUnknown,
		Logger: c.log, Metrics: c.metrics, Now: c.clock.Now,
	})
	return s, nil
}

// run puts these syncers to work, and ends the others, now that the state that
// they belong to is in force.
func (c *catalogues) run(wanted map[playback.EnvironmentID]*syncer, environments []playback.EnvironmentID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for env, s := range c.syncers {
		if wanted[env] != s && s.stop != nil {
			s.stop()
		}
	}
	c.syncers = wanted
	c.library.Keep(environments)
	c.begin()
}

// begin starts what does not run yet, once the app has started.
func (c *catalogues) begin() {
	if c.ctx == nil {
		return
	}
	for _, s := range c.syncers {
		if s.stop == nil {
			var ctx context.Context
			ctx, s.stop = context.WithCancel(c.ctx)
			c.working.Go(func() { s.Run(ctx) })
		}
	}
}

// start begins to follow the store and Mux; stop ends that.
func (c *catalogues) start(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx = ctx
	c.working.Go(func() { c.library.Run(ctx, c.log, c.clock.Now) })
	c.begin()
}

// rewindShown is how long /readyz tells of a store that went back.
const rewindShown = time.Hour

// problem tells of a store that went back to an earlier state, "" if it did not.
func (c *catalogues) problem() string {
	r := c.library.Rewind()
	if r.At.IsZero() {
		return ""
	}
	ago := c.clock.Now().Sub(r.At)
	if ago > rewindShown {
		return ""
	}
	return fmt.Sprintf("the store went back to an earlier state %s ago: grants, first plays and webhooks that it had taken since are lost (docs/operations.md)",
		playback.FormatDuration(ago.Truncate(time.Second)))
}

// wait returns when everything that start began has ended.
func (c *catalogues) wait() { c.working.Wait() }

// video is Mux's Video API in the words of the catalogue.
type video struct {
	client *muxapi.Client
	as     func(context.Context) context.Context // whose share of the account's pace is spent
}

func (v video) Object(ctx context.Context, kind store.Kind, id string) (catalog.Said, error) {
	if kind == store.LiveStream {
		o, err := v.client.GetLiveStream(v.as(ctx), playback.LiveStreamID(id))
		return catalog.Said(o), orGone(err)
	}
	o, err := v.client.GetAsset(v.as(ctx), playback.AssetID(id))
	return catalog.Said(o), orGone(err)
}

func (v video) Owner(ctx context.Context, id playback.ID) (store.Kind, string, error) {
	p, err := v.client.GetPlaybackID(v.as(ctx), id)
	if err != nil {
		return "", "", orGone(err)
	}
	switch kind := store.Kind(p.Object.Type); kind {
	case store.Asset, store.LiveStream:
		return kind, p.Object.ID, nil
	case store.PlaybackID:
	}
	return "", "", fmt.Errorf("playback ID %s belongs to a %.40q", id, p.Object.Type)
}

func (v video) Page(ctx context.Context, kind store.Kind, cursor string) (catalog.Page, error) {
	list := v.client.ListAssets
	if kind == store.LiveStream {
		list = v.client.ListLiveStreams
	}
	page, err := list(v.as(ctx), cursor)
	return catalog.Page{Objects: page.Data, At: page.At, Next: page.Next}, err
}
