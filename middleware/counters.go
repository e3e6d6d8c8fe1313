package middleware

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/ulule/limiter/v3"
)

const (
	// counterShards spreads the locks of one Counters; a power of two.
	counterShards = 16
	// groupShare is the part of a table, 1/groupShare, that the keys of one group
	// may take.
	groupShare = 4
	// overflowWindows is how many windows of a shard are shared by the keys that
	// find no room.
	overflowWindows = 256
	// sweepEvery is how often a full shard looks for windows that have ended.
	sweepEvery = time.Second
)

// Counters is a limiter.Store in memory that strangers cannot grow: it holds a
// fixed number of keys. ulule/limiter's own memory store has no such bound.
//
// It counts in fixed windows, as ulule/limiter does: a window opens with the
// first hit and the count keeps growing while the limit is reached. When a shard
// is full, windows that have ended make room, then those that have counted one,
// the oldest first: whoever loses such a window gains a single hit. Every other
// window stays until it ends. A key that finds no room even so counts in one of
// a few windows that such keys share, chosen by a secret hash.
//
// Keys may belong to a group, such as the network that one party has whole. A
// group takes at most a part of the table, so that it can neither make the keys
// of others be given up nor keep them out. Beyond its part its keys are not
// counted here: whoever has a group counts it as a whole elsewhere.
//
// The rate is not part of the state: a new limit or period applies to the
// windows that are open.
type Counters struct {
	now    func() time.Time
	seed   maphash.Seed
	shards [counterShards]counterShard
}

var _ limiter.Store = (*Counters)(nil)

// NewCounters returns a store of at most about maxKeys keys.
func NewCounters(maxKeys int, now func() time.Time) *Counters {
	s := &Counters{now: now, seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].init(max(1, maxKeys/counterShards))
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
	return s.increment(&moment{now: s.now()}, key, count, rate), nil
}

// moment is the counters at the time of one request: the clock is read once
// per request, not once per limit.
type moment struct {
	*Counters

	now   time.Time
	group uint32 // the group of the key; 0: it belongs to none
}

// Increment counts several hits at once.
func (m *moment) Increment(_ context.Context, key string, count int64, rate limiter.Rate) (limiter.Context, error) {
	return m.increment(m, key, count, rate), nil
}

func (s *Counters) increment(m *moment, key string, count int64, rate limiter.Rate) limiter.Context {
	hash := maphash.String(s.seed, key)
	shard := &s.shards[hash%counterShards]
	now := m.now.UnixNano()
	shard.mu.Lock()
	defer shard.mu.Unlock()
	w, kept := shard.windows[key]
	if !kept {
		var counted bool
		w, counted = shard.addLocked(key, m.group, now, rate)
		switch {
		case !counted:
			return (&window{opened: now, count: count}).state(rate)
		case w == nil:
			w = shard.overflowLocked(hash)
		}
	}
	if !w.open(now, rate) {
		w.opened, w.count = now, 0
	}
	w.count += count
	shard.singles.update(w)
	return w.state(rate)
}

// Peek returns the state of a key without counting.
func (s *Counters) Peek(_ context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	now := s.now().UnixNano()
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
	if w, kept := shard.windows[key]; kept {
		shard.dropLocked(w)
	}
	w := window{opened: s.now().UnixNano()}
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

type counterShard struct {
	mu    sync.Mutex // guards everything below
	limit int
	// windows holds pointers, so that counting does not assign to the map: an
	// assignment replaces the key too, and the caller's may be a view of a
	// buffer that is about to be reused.
	windows  map[string]*window
	singles  singles
	groups   map[uint32]int // how many windows each group has; none without any
	overflow []window       // nil until a key finds no room
	swept    int64          // when windows that have ended were last looked for
}

func (c *counterShard) init(limit int) {
	c.limit, c.windows, c.groups = limit, map[string]*window{}, map[uint32]int{}
	c.singles.init()
}

// addLocked returns a new window of a key, nil if there is no room. counted is
// false if the key's group has its part of the table already.
func (c *counterShard) addLocked(key string, group uint32, now int64, rate limiter.Rate) (w *window, counted bool) {
	c.sweepLocked(now, rate)
	if group != 0 && c.groups[group] >= max(1, c.limit/groupShare) {
		return nil, false
	}
	if len(c.windows) >= c.limit {
		oldest := c.singles.first()
		if oldest == nil {
			return nil, true
		}
		c.dropLocked(oldest)
	}
	w = &window{opened: now, key: strings.Clone(key), group: group}
	c.windows[w.key] = w
	if group != 0 {
		c.groups[group]++
	}
	return w, true
}

// dropLocked gives a window up.
func (c *counterShard) dropLocked(w *window) {
	c.singles.remove(w)
	delete(c.windows, w.key)
	if w.group == 0 {
		return
	}
	if c.groups[w.group]--; c.groups[w.group] == 0 {
		delete(c.groups, w.group)
	}
}

// overflowLocked returns the window that a key without room shares with others.
func (c *counterShard) overflowLocked(hash uint64) *window {
	if c.overflow == nil {
		c.overflow = make([]window, overflowWindows)
		for i := range c.overflow {
			c.overflow[i].shared = true
		}
	}
	return &c.overflow[hash/counterShards%overflowWindows]
}

// sweepLocked gives up windows that have ended, if the shard is full or a group
// may have its part.
func (c *counterShard) sweepLocked(now int64, rate limiter.Rate) {
	if len(c.windows) < c.limit/groupShare || now-c.swept < int64(sweepEvery) && now >= c.swept {
		return
	}
	c.swept = now
	for _, w := range c.windows {
		if !w.open(now, rate) {
			c.dropLocked(w)
		}
	}
}
