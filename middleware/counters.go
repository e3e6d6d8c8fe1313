package middleware

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/ulule/limiter/v3"
)

// counterShards spreads the locks of one Counters; a power of two.
const counterShards = 16

// sweepEvery is how often a full shard looks for windows that have ended.
const sweepEvery = time.Second

// Counters is a limiter.Store in memory that strangers cannot grow: it holds a
// fixed number of keys. ulule/limiter's own memory store has no such bound
// (integrations.md §D4).
//
// It counts in fixed windows, as ulule/limiter does: a window opens with the
// first hit and the count keeps growing while the limit is reached. A counter
// whose window has not ended is never given up: when a shard is full, new keys
// share one overflow counter, so a flood of keys can exhaust what newcomers
// have but cannot reset anybody's count. The rate is not part of the state: a
// new limit or period applies to the windows that are open.
type Counters struct {
	now    func() time.Time
	seed   maphash.Seed
	shards [counterShards]counterShard
}

var _ limiter.Store = (*Counters)(nil)

type counterShard struct {
	mu    sync.Mutex // guards everything below
	limit int
	// windows holds pointers, so that counting does not assign to the map: an
	// assignment replaces the key too, and the caller's may be a view of a
	// buffer that is about to be reused.
	windows  map[string]*window
	overflow window
	swept    time.Time
}

type window struct {
	opened time.Time
	count  int64
}

// NewCounters returns a store of at most about maxKeys keys.
func NewCounters(maxKeys int, now func() time.Time) *Counters {
	s := &Counters{now: now, seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].limit = max(1, maxKeys/counterShards)
		s.shards[i].windows = map[string]*window{}
	}
	return s
}

// Get counts one hit.
func (s *Counters) Get(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return s.Increment(ctx, key, 1, rate)
}

// Increment counts several hits at once. The key may be a view: it is copied
// when it is kept.
func (s *Counters) Increment(_ context.Context, key string, count int64, rate limiter.Rate) (limiter.Context, error) {
	return s.increment(s.now(), key, count, rate), nil
}

// moment is the counters at the time of one request: the clock is read once
// per request, not once per limit.
type moment struct {
	*Counters

	now time.Time
}

// Increment counts several hits at once.
func (m *moment) Increment(_ context.Context, key string, count int64, rate limiter.Rate) (limiter.Context, error) {
	return m.increment(m.now, key, count, rate), nil
}

func (s *Counters) increment(now time.Time, key string, count int64, rate limiter.Rate) limiter.Context {
	shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	w, kept := shard.windows[key]
	if !kept {
		if shard.roomLocked(now, rate) {
			w = new(window)
			shard.windows[strings.Clone(key)] = w
		} else {
			w = &shard.overflow
		}
	}
	if !w.open(now, rate) {
		*w = window{opened: now}
	}
	w.count += count
	return w.state(rate)
}

// Peek returns the state of a key without counting.
func (s *Counters) Peek(_ context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	now := s.now()
	shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	w, kept := shard.windows[key]
	if !kept || !w.open(now, rate) {
		w = &window{opened: now}
	}
	return w.state(rate), nil
}

// Reset forgets a key.
func (s *Counters) Reset(_ context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	delete(shard.windows, key)
	w := window{opened: s.now()}
	return w.state(rate), nil
}

// Len returns the number of keys held.
func (s *Counters) Len() int {
	n := 0
	for i := range s.shards {
		s.shards[i].mu.Lock()
		n += len(s.shards[i].windows)
		s.shards[i].mu.Unlock()
	}
	return n
}

func (s *Counters) shard(key string) *counterShard {
	return &s.shards[maphash.String(s.seed, key)%counterShards]
}

// roomLocked reports whether a new key fits, giving up windows that have ended
// if that is what it takes.
func (c *counterShard) roomLocked(now time.Time, rate limiter.Rate) bool {
	if len(c.windows) < c.limit {
		return true
	}
	if now.Sub(c.swept) < sweepEvery {
		return false
	}
	c.swept = now
	for key, w := range c.windows {
		if !w.open(now, rate) {
			delete(c.windows, key)
		}
	}
	return len(c.windows) < c.limit
}

func (w *window) open(now time.Time, rate limiter.Rate) bool {
	return now.Sub(w.opened) < rate.Period
}

// state is the window as ulule/limiter describes one, except that Reset is
// rounded up to the second: whoever waits until then finds a new window.
func (w *window) state(rate limiter.Rate) limiter.Context {
	end := w.opened.Add(rate.Period)
	reset := end.Unix()
	if end.Nanosecond() > 0 {
		reset++
	}
	return limiter.Context{
		Limit:     rate.Limit,
		Remaining: max(0, rate.Limit-w.count),
		Reset:     reset,
		Reached:   w.count > rate.Limit,
	}
}
