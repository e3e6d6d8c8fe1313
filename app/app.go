package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/playgate/playgate/clock"
	"github.com/playgate/playgate/collector"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/geo"
	"github.com/playgate/playgate/grant"
	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/outbox"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
	"github.com/playgate/playgate/server"
	"github.com/playgate/playgate/server/transport"
	"github.com/playgate/playgate/signer"
	"github.com/playgate/playgate/signingkey"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/telemetry"
	"github.com/playgate/playgate/tokencache"
)

// App is one gateway in one process. Two may live side by side.
type App struct {
	opts      Options
	logs      *telemetry.Log
	log       *slog.Logger // of logs
	level     *slog.LevelVar
	clock     *clock.Clock
	metrics   *metrics
	inherited *inherited
	allocated uint64 // collector.Allocated before the configuration was read

	state     atomic.Pointer[state]
	started   *configs.Config // what settings that take a restart have, whatever was loaded since
	promoting sync.Mutex      // one promotion at a time; taken before reloading
	reloading exclusive       // one reload at a time; taken before any room's lock
	loading   exclusive       // one load at a time, also of those that were abandoned; taken after reloading
	watch     watch

	store        store.Store
	catalogues   *catalogues
	outbox       *outbox.Worker
	ledger       *ledger
	dependencies *dependencies

	identity *identity.Verifier
	keys     *keystore.Watcher
	ring     *signer.Ring
	cache    *tokencache.Cache
	muxes    *muxClients
	rotation *rotation
	recovery *recovery
	geo      *geo.Database // nil: there is none
	server   *server.Server
	registry *prometheus.Registry // what /metrics publishes
	admin    *http.Server

	listener      net.Listener
	secure        *tls.Config  // nil: plain HTTP
	adminListener net.Listener // nil: switched off

	life      lifecycle
	accepting atomic.Bool // requests are served
	failed    chan error  // a listener that ended by itself
	serving   sync.WaitGroup
}

// New loads the configuration, builds every room and binds the listeners. It
// starts nothing that outlives it but the signing workers; Stop undoes it all,
// and New itself does when it fails.
func New(opts Options) (*App, error) {
	allocated := collector.Allocated()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a := &App{
		opts: opts, allocated: allocated, registry: registry, level: new(slog.LevelVar), metrics: newMetrics(registry), inherited: &inherited{metrics: policy.NewMetrics(registry)},
		muxes: newMuxClients(), failed: make(chan error, 2), reloading: newExclusive(), loading: newExclusive(),
	}
	a.life.init()
	first, seen, err := load(opts.Path, opts.Environ, a.inherited)
	if err != nil {
		return nil, err
	}
	a.watch.loaded(seen, false)
	cfg := first.loaded.Config
	a.started = cfg
	a.logs = telemetry.Open(telemetry.Config{Writer: opts.Log, Format: cfg.Log.Format, Level: a.level, Now: time.Now, Registerer: registry})
	a.log = a.logs.Logger()
	if opts.Process {
		logLibraries(a.log)
	}
	a.clock = clock.New(clock.Config{Source: opts.Clock, Logger: a.log, Registerer: registry, Changed: func(by time.Duration) { a.identity.ClockChanged(by) }})
	a.muxes.clock = a.clock
	if err := a.build(first, registry); err != nil {
		return nil, a.abandon(err)
	}
	if err := a.adopt(context.Background(), first); err != nil {
		return nil, a.abandon(err)
	}
	return a, nil
}

// abandon undoes what New did before it failed, and returns why it did.
func (a *App) abandon(err error) error {
	err = errors.Join(err, a.life.undo(context.Background()))
	_ = a.closeLog() // err tells why
	return err
}

// build makes the rooms that outlive a reload, in the order in which they need
// each other.
func (a *App) build(first *state, registry *prometheus.Registry) error {
	cfg := first.loaded.Config
	limits := newLimits(cfg, a.log)
	if err := a.buildCatalogue(cfg, registry); err != nil {
		return err
	}
	a.catalogues.maxUnknown = limits.unknown
	backend, err := signer.OpenBackend(cfg.Signer.Backend, time.Now)
	if err != nil {
		return fmt.Errorf("opening the signer: %w", err)
	}
	publishBuild(registry, a.opts.Build, backend.Name())
	a.ring = signer.NewRing(signer.RingConfig{
		Backend: backend, Logger: a.log, Registerer: registry, Now: a.clock.Now,
		KeepRetired: func(env playback.EnvironmentID, key *keystore.Key) time.Duration {
			return a.state.Load().keepRetired(env, key)
		},
	})
	pool := signer.NewPool(signer.Config{Ring: a.ring, Concurrency: cfg.Signer.Concurrency, Queue: cfg.Signer.Queue, Now: a.clock.Steady, Registerer: registry})
	a.life.onStop("the signer", func(context.Context) error { pool.Stop(); return nil })

	if err := a.openGeo(cfg, registry); err != nil {
		return err
	}
	keeper, err := a.newKeeper(cfg)
	if err != nil {
		return fmt.Errorf("opening the key store: %w", err)
	}
	a.life.onStop("the key store", func(context.Context) error { return keeper.Close() })
	a.keys = keystore.NewWatcher(keystore.Config{
		Source: keeper, Driver: cfg.Keystore.Driver, Interval: refreshInterval(cfg), OnChange: a.takeKeys,
		Logger: a.log, Now: a.clock.Steady, Registerer: registry,
	})
	a.identity = identity.New(identity.Config{MaxRemembered: limits.identities, Logger: a.log, Now: a.clock.Now, Witness: a.clock.Witness, Registerer: registry})
	a.cache = tokencache.New(tokencache.Config{
		MaxEntries: cfg.Cache.MaxEntries, MaxBytes: limits.tokens, Signer: pool,
		Now: a.clock.Now, Logger: a.log, Registerer: registry,
	})
	// Memory keys are this process's alone, so it knows all that they signed.
	a.ledger = &ledger{signingkey.NewMemoryLedger(cfg.Keystore.Driver == "memory"), a.store, a.log, func() int { return a.catalogues.library.Rewind().Count }}
	manager := a.manage(keeper, a.ledger, registry)
	journal, err := a.openJournal(cfg, registry)
	if err != nil {
		return err
	}
	holder := grant.New(grant.Config{
		Store: a.store, Now: a.clock.Now, Registerer: registry,
		MaxPerViewer: func(env playback.EnvironmentID) int { return a.state.Load().maxGrants(env) },
	})
	pipeline := issuer.New(issuer.Config{
		Keys: a.ring, Tokens: a.cache, Ledger: a.ledger, Grants: holder, Stale: a.assured, Journal: journal, Now: a.clock.Now,
	})
	a.server = server.New(server.Config{
		Snapshot: func() *server.Snapshot { return a.state.Load().edge },
		Issuer:   pipeline, Explainer: pipeline, Policies: policyManager{a},
		Identity: a.identity, JWKS: a.ring, Keys: keyManager{manager, a.settings}, Grants: holder, Logger: a.log, AccessLog: cfg.Log.Access.String(),
		Webhooks: webhooks{a}, Registerer: registry, Now: a.clock.Now, Pages: a.opts.Pages, Connections: limits.connections,
	})
	a.dependencies = newDependencies(a.log, a.clock.Steady, registry, a.watched()...)
	return a.listen(cfg)
}

// buildCatalogue opens the store and reads the catalogue from it.
func (a *App) buildCatalogue(cfg *configs.Config, registry *prometheus.Registry) error {
	opened, err := openStore(&cfg.Store, a.log)
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	a.store, a.muxes.paces = opened, opened
	a.life.onStop("the store", func(context.Context) error { return opened.Close() })
	if a.catalogues, err = newCatalogues(opened, a.muxes, a.log, registry); err != nil {
		return err
	}
	a.outbox = outbox.New(outbox.Config{
		Store: opened, Logger: a.log, Now: a.clock.Steady, Registerer: registry,
		Handlers: func(env playback.EnvironmentID) map[string]outbox.Handler { return a.state.Load().jobs[env] },
	})
	a.catalogues.wake = a.outbox.Wake
	return nil
}

// listen binds both addresses, so that a port that is taken stops the start, and
// builds the admin server, which answers for its address.
func (a *App) listen(cfg *configs.Config) error {
	var bind net.ListenConfig
	bind.SetMultipathTCP(false)                                                  // Go's default; it takes no socket filter (see quiesce), and costs time
	listener, err := bind.Listen(context.Background(), "tcp", cfg.Server.Listen) // tcp, not tcp4: dual-stack
	if err != nil {
		return fmt.Errorf("listening on server.listen: %w", err)
	}
	a.listener = listener
	if cfg.Server.TLS.Enabled() {
		a.secure = &tls.Config{
			MinVersion: tls.VersionTLS12,
			NextProtos: []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				if c := a.state.Load().certificate; c != nil {
					return c, nil
				}
				return nil, errors.New("no certificate is configured")
			},
		}
	}
	a.life.onStop("the listener", func(context.Context) error { return ignoreClosed(a.listener.Close()) })
	if cfg.Server.AdminListen == "" {
		return nil
	}
	a.adminListener, err = bind.Listen(context.Background(), "tcp", cfg.Server.AdminListen)
	if err != nil {
		return fmt.Errorf("listening on server.admin_listen: %w", err)
	}
	a.adminListener = transport.New(transport.Config{
		Limits: transport.Limits{Total: adminConnections}, Logger: a.log.With("listener", transport.AdminListener),
		Name: transport.AdminListener, Metrics: a.server.ConnectionMetrics(),
	}).Listen(a.adminListener)
	a.admin = newAdminServer(adminConfig{
		ready: a.readiness, gatherer: a.registry, pprof: cfg.Server.AdminPprof, log: a.log, hosts: adminHosts(cfg.Server.AdminListen, a.adminListener.Addr()),
	})
	a.life.onStop("the admin listener", func(context.Context) error { return ignoreClosed(a.adminListener.Close()) })
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Start reads the keys and serves. When it fails, Stop must still be called.
func (a *App) Start(ctx context.Context) error {
	a.life.starting.Lock()
	defer a.life.starting.Unlock()
	if err := a.life.enter(); err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.life.onStop("background work", func(context.Context) error { cancel(); a.serving.Wait(); return nil })

	if a.adminListener != nil { // first: reading many keys takes time, and /livez must answer meanwhile
		a.serving.Go(func() { a.watchServer("the admin listener", a.admin.Serve(a.adminListener)) })
		a.life.onStop("the admin server", a.life.unlessHurried(a.admin.Shutdown))
	}
	a.identity.Start(background)
	a.life.onStop("viewers' key sets", func(context.Context) error { a.identity.Stop(); return nil })
	if err := a.keys.Start(ctx); err != nil {
		return fmt.Errorf("starting the key store: %w", err)
	}
	a.life.onStop("the key watcher", func(context.Context) error { a.keys.Stop(); return nil })
	a.cache.Start()
	a.life.onStop("the token cache", func(context.Context) error { a.cache.Stop(); return nil })
	a.serving.Go(func() {
		if err := collector.Tune(background, a.opts.Environ); err != nil {
			a.log.Warn("the garbage collector is left as it is", "error", err)
		}
	})
	a.serving.Go(func() { a.clock.Run(background) })
	a.catalogues.start(background)
	a.serving.Go(func() { a.outbox.Run(background) })
	a.serving.Go(func() { a.ledger.run(background) })
	a.serving.Go(func() { a.dependencies.run(background) })
	a.serving.Go(a.catalogues.wait)
	a.settle(ctx)

	a.accepting.Store(true)
	a.serving.Go(func() { a.watchServer("the listener", a.server.Serve(a.listener, a.secure)) })
	a.life.onStop("the server", a.life.unlessHurried(a.server.Shutdown))
	a.serving.Go(func() { a.rotation.run(background) })
	a.serving.Go(func() { a.recovery.run(background) })
	if a.geo != nil {
		a.serving.Go(func() { a.geo.Run(background) })
	}
	a.serving.Go(func() { a.watch.run(background, func() { _ = a.Reload(background) }) })
	a.logStart()
	a.serving.Go(func() { collector.Release(a.allocated) })
	return nil
}

// settleTime is how long a start waits for identity providers, so that the
// first viewers do not meet 503 where all is well.
const settleTime = 3 * time.Second

func (a *App) settle(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	_ = a.identity.Settled(bounded) // an issuer that is down answers 503 until it is up
}

func (a *App) watchServer(name string, err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		a.failed <- fmt.Errorf("serving %s: %w", name, err)
	}
}

func (a *App) logStart() {
	attrs := []any{"address", a.Addr().String()}
	if a.adminListener != nil {
		attrs = append(attrs, "admin", a.AdminAddr().String())
	}
	a.log.Info("serving", attrs...)
	if r := a.readiness(); r.Status != statusReady {
		a.log.Error("not ready", "reasons", r.Reasons)
	}
}

// Addr returns the address that viewers and backends reach.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

// AdminAddr returns the operators' address, nil if it is switched off.
func (a *App) AdminAddr() net.Addr {
	if a.adminListener == nil {
		return nil
	}
	return a.adminListener.Addr()
}

// staleAfter is how old the keys' last reading must be to be worth a word.
const staleAfter = time.Minute

// stale reports whether an environment's keys have not been read for a while.
func (a *App) stale(env playback.EnvironmentID) bool {
	read, failing := a.keys.LastRead(env)
	return failing && !read.IsZero() && a.clock.Steady().Sub(read) > staleAfter
}

// assured reports whether an environment's keys are stale, and then until when
// what they sign is sure to be honoured: somebody else may have retired the
// active key right after it was last read, and may delete it max_ttl later. To
// the minute, so that replicas that lost the store together agree. While the
// store answers there is no bound (0), because contract §4's grid is that of all
// replicas; a key that signs elsewhere needs none: nothing new is signed with it.
func (a *App) assured(env playback.EnvironmentID) (until int64, stale bool) {
	if !a.stale(env) {
		return 0, false
	}
	configured := a.state.Load().configured[env]
	key, ok := a.keys.Keyset(env).Active()
	if !ok || key.Remote != nil || configured == nil {
		return 0, true
	}
	read, _ := a.keys.LastRead(env) // by the steady clock
	read = a.clock.Now().Add(read.Sub(a.clock.Steady()))
	return read.Add(configured.Token.MaxTTL).Truncate(time.Minute).Unix(), true
}
