package tokencache

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/playgate/playgate/playback"
)

// shard is a part of the cache with a lock of its own.
type shard struct {
	cache    *Cache
	maxBytes int64

	mu      sync.Mutex // never held while anything is signed or waited for
	lru     *simplelru.LRU[Key, *entry]
	bytes   int64
	flights map[Key]*flight
}

// entry is a token and what keeps it fresh. Guarded by shard.mu.
type entry struct {
	token playback.Token
	exp   int64 // Unix seconds: the token is of no use from then on
	size  int64 // what it counts for, in bytes
	used  bool  // it was asked for again, so the next one is planned
	plan  *plan // nil: not planned, or no more
}

func newShard(c *Cache, maxEntries int, maxBytes int64) *shard {
	s := &shard{cache: c, maxBytes: maxBytes, flights: make(map[Key]*flight)}
	lru, err := simplelru.NewLRU(max(1, maxEntries), s.removed)
	if err != nil { // only for a size below one
		panic("tokencache: " + err.Error())
	}
	s.lru = lru
	return s
}

// removed is told by simplelru of every entry that leaves, whatever the
// reason. (Unlike expirable's, its calls are synchronous: mu is held.)
func (s *shard) removed(_ Key, e *entry) {
	s.countLocked(e, -e.size)
	s.cache.entries.Add(-1)
	if e.plan != nil {
		s.cache.schedule.remove(e.plan)
	}
}

func (s *shard) countLocked(e *entry, more int64) {
	e.size += more
	s.bytes += more
	s.cache.bytes.Add(more)
}

// hit returns the remembered token of a key. The first hit plans its refresh.
func (s *shard) hit(key Key, claims *playback.Claims, life playback.Lifetime, now time.Time) (playback.Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.liveLocked(key, now)
	if !ok {
		return playback.Token{}, false
	}
	if !e.used {
		s.useLocked(key, e, claims, life)
	}
	return e.token, true
}

// liveLocked returns an entry that has not expired, and makes it the most
// recently used.
func (s *shard) liveLocked(key Key, now time.Time) (*entry, bool) {
	e, ok := s.lru.Get(key)
	if !ok {
		return nil, false
	}
	if now.Unix() >= e.exp {
		s.lru.Remove(key)
		return nil, false
	}
	return e, true
}

// useLocked notes that an entry is in use, and plans to refresh it ahead.
// Nothing is planned where an absolute end forbids a later exp.
func (s *shard) useLocked(key Key, e *entry, claims *playback.Claims, life playback.Lifetime) {
	if life.Cut || life.G <= 0 || !s.cache.refreshes.Load() {
		return
	}
	e.used = true
	p, ok := s.cache.planFor(key, claims, life)
	if !ok {
		return
	}
	e.plan = p
	s.countLocked(e, planSize(claims))
	s.cache.schedule.add(p)
	s.trimLocked()
}

// storeLocked remembers a token. One that is larger than the shard, or has
// expired, is not remembered.
func (s *shard) storeLocked(key Key, token playback.Token, exp int64) {
	size := entrySize(token)
	if size > s.maxBytes || s.cache.now().Unix() >= exp {
		return
	}
	s.lru.Remove(key) // so that nothing is overwritten unseen
	e := &entry{token: token, exp: exp}
	s.countLocked(e, size)
	s.cache.entries.Add(1)
	s.lru.Add(key, e)
	s.trimLocked()
}

func (s *shard) trimLocked() {
	for s.bytes > s.maxBytes {
		if _, _, ok := s.lru.RemoveOldest(); !ok {
			return
		}
	}
}

// What an entry takes beside the bytes of its token, on a 64-bit machine: its
// place in the map and in the list of simplelru, and itself; then what a plan
// takes. TestBytesAreCountedHonestly holds them against the heap.
const (
	entryOverhead = 232
	planOverhead  = 240
	paramOverhead = 32
)

// entrySize estimates an entry, in bytes. The allocator rounds strings of this
// length up by an eighth at most.
func entrySize(token playback.Token) int64 {
	n := int64(token.Len())
	return entryOverhead + n + n/16
}

// planSize estimates what keeping the claims costs, in bytes.
func planSize(c *playback.Claims) int64 {
	return planOverhead + int64(encodedLen(c)) + int64(len(c.Params))*paramOverhead
}
