package tokencache

import (
	"container/list"
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

// Signer makes tokens. Its errors are shared by all who wait for the same
// token, except one that says it concerns its caller alone, by a method
// CallersOwn() bool somewhere in its chain.
type Signer interface {
	Sign(ctx context.Context, c *playback.Claims, turn playback.Turn) (playback.Token, error)
	// Start is Sign for who does not want to wait in it. false: this one may
	// have to wait for its place, so it takes Sign. The claims are not kept.
	Start(c *playback.Claims, turn playback.Turn) (playback.Signing, bool)
	// RetryAfter estimates when a request for a signature will be served.
	RetryAfter() time.Duration
	// Cost returns how much of one core's time a signature takes.
	Cost() time.Duration
	// Pace returns how long one signature takes a signing thread at the present
	// load: Cost, and what it waits for a core.
	Pace() time.Duration
	// Claims reads the claims of a token that Sign gave; Environment, Key,
	// Thumbprint and Kid are not asked for.
	Claims(token playback.Token) (playback.Claims, error)
}

// Config is what a Cache needs.
type Config struct {
	Signer     Signer                // required
	MaxEntries int                   // 0: DefaultMaxEntries
	MaxBytes   int64                 // 0: DefaultMaxBytes
	Now        func() time.Time      // nil: time.Now. Refresh-ahead also waits for the system's timers
	Rand       func() float64        // in [0, 1); nil: math/rand/v2. It spreads load, nothing more
	Logger     *slog.Logger          // nil: discard
	Registerer prometheus.Registerer // nil: do not register
}

// The bounds of contract §2.
const (
	DefaultMaxEntries = 100_000
	DefaultMaxBytes   = 256 << 20
)

// Cache remembers tokens.
type Cache struct {
	signer  Signer
	now     func() time.Time
	rand    func() float64
	log     *slog.Logger
	metrics *metrics
	seed    maphash.Seed // unknown outside, so that nobody can aim at one shard
	shards  []*shard
	mask    uint64 // one less than there are shards, which are a power of two

	seals    seals
	sweeps   atomic.Int64 // wanted since the last one began; 0: none is under way
	schedule *schedule
	twins    twins
	cores    int           // when the cache was made
	roused   chan struct{} // holds one signal: there is something to sign ahead now
	ahead    chan struct{} // a place for each token that is being signed ahead

	entries, bytes atomic.Int64 // of all shards, for the gauges

	root    context.Context // of the cache's own goroutines, which outlive the requests that start them
	end     context.CancelFunc
	life    sync.Mutex // guards stopped and the start of a goroutine
	stopped bool
	running sync.WaitGroup

	refreshes atomic.Bool // Start was called: entries in use are planned
}

// maxAhead is how many tokens are signed ahead at once for each core: a batch
// of the signer's, so that a quarter of the cores never lacks work. It is half
// of what the signer lets wait, so that its line is never full because of us.
const maxAhead = 8

// leastAhead is the same on a machine with few cores.
const leastAhead = 32

// New returns an empty cache. Start begins refresh-ahead; Stop ends everything.
func New(cfg Config) *Cache {
	if cfg.MaxEntries <= 0 {
		cfg.MaxEntries = DefaultMaxEntries
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	cores := runtime.GOMAXPROCS(0)
	c := &Cache{
		signer: cfg.Signer, now: cfg.Now, rand: cfg.Rand, log: cfg.Logger, seed: maphash.MakeSeed(),
		cores: cores, seals: seals{all: make(map[playback.EnvironmentID][]*seal)}, schedule: newSchedule(),
		twins: twins{places: make(map[*entry]*list.Element)}, roused: make(chan struct{}, 1), ahead: make(chan struct{}, max(leastAhead, maxAhead*cores)),
	}
	if c.now == nil {
		c.now = time.Now //nolint:forbidigo // the one default of this package
	}
	if c.rand == nil {
		c.rand = rand.Float64
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.root, c.end = context.WithCancel(context.Background())
	n := shardCount(cfg.MaxEntries, cfg.MaxBytes)
	c.mask = uint64(n) - 1 //nolint:gosec // at least one
	for range n {
		c.shards = append(c.shards, newShard(c, cfg.MaxEntries/n, cfg.MaxBytes/int64(n)))
	}
	c.metrics = newMetrics(cfg.Registerer, c)
	return c
}

// shardCount returns a power of two, at least four for each core so that hits
// seldom meet at one lock, and enough that a list of one shard's keys is made
// in a millisecond; but fewer for a cache so small that its shards would have
// no room to be fair.
func shardCount(entries int, bytes int64) int {
	const leastEntries, leastBytes, mostEntries = 64, 64 << 10, 32 << 10 // of one shard
	n := 1
	for n < 4*runtime.GOMAXPROCS(0) || entries/n > mostEntries {
		n *= 2
	}
	for n > 1 && (entries/n < leastEntries || bytes/int64(n) < leastBytes) {
		n /= 2
	}
	return n
}

// Token returns the token of the claims: remembered (hit), or signed now, once
// for all who ask at the same time. life is the plan that the claims' exp came
// from; it tells when the next token will be asked for. The claims are not
// kept after Token returned, except their strings and Params, which are
// immutable.
//
// The errors are the signer's, and signing_overloaded with RetryAfter when ctx
// ended while the token was being signed, or the cache stops.
func (c *Cache) Token(ctx context.Context, claims *playback.Claims, life playback.Lifetime, turn playback.Turn) (playback.Token, bool, error) {
	key := KeyOf(claims)
	s := c.shardOf(key)
	now := turn.At
	if now.IsZero() {
		now = c.now()
	}
	if token, ok := s.hit(key, life, now); ok {
		c.metrics.hit.Inc()
		return token, true, nil
	}
	token, err := c.miss(ctx, s, request{key: key, claims: claims, life: life, turn: turn})
	return token, false, err
}

// Remembered returns the token of the claims if it is remembered, as Token would,
// and has nothing signed otherwise: who asks for several tokens asks so first.
// Not finding one is not counted, since Token follows. Zero at: it looks at the
// clock.
func (c *Cache) Remembered(claims *playback.Claims, life playback.Lifetime, at time.Time) (playback.Token, bool) {
	if at.IsZero() {
		at = c.now()
	}
	key := KeyOf(claims)
	token, ok := c.shardOf(key).hit(key, life, at)
	if ok {
		c.metrics.hit.Inc()
	}
	return token, ok
}

func (c *Cache) shardOf(key Key) *shard {
	return c.shards[maphash.Bytes(c.seed, key[:])&c.mask]
}

// request is one question that the cache could not answer at once.
type request struct {
	key    Key
	claims *playback.Claims
	life   playback.Lifetime
	turn   playback.Turn
	twin   bool // it is stored only beside what is in use
}

// Start begins refresh-ahead.
func (c *Cache) Start() {
	if !c.refreshes.Swap(true) {
		c.begin(c.refresher)
	}
}

// Stop ends refresh-ahead and whatever is being signed, and waits for both.
// Afterwards the cache still answers hits; misses are refused.
func (c *Cache) Stop() {
	c.life.Lock()
	c.stopped = true
	c.life.Unlock()
	c.end()
	c.running.Wait()
}

// begin starts a goroutine that Stop waits for; false: the cache stops.
func (c *Cache) begin(f func()) bool {
	c.life.Lock()
	defer c.life.Unlock()
	if c.stopped {
		return false
	}
	c.running.Go(f)
	return true
}

// overloaded refuses a request whose token nobody could wait for.
func (c *Cache) overloaded(cause error) error {
	e := playback.Errorf(playback.CodeSigningOverloaded, "Too many tokens are being signed; try again later.")
	return e.After(max(time.Second, c.signer.RetryAfter())).Because(fmt.Errorf("waiting for a token: %w", cause))
}
