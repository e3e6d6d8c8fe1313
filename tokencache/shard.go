package tokencache

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/playgate/playgate/playback"
)

// shard is a part of the cache with a lock of its own.
type shard struct {
	cache      *Cache
	maxEntries int
	maxBytes   int64

	mu      sync.Mutex // never held while anything is signed or waited for
	lru     *simplelru.LRU[Key, *entry]
	bytes   int64
	flights map[Key]*flight
	last    *seal // of the last token that was stored; nil: none yet
}

func newShard(c *Cache, maxEntries int, maxBytes int64) *shard {
	s := &shard{cache: c, maxEntries: max(1, maxEntries), maxBytes: maxBytes, flights: make(map[Key]*flight)}
	lru, err := simplelru.NewLRU(s.maxEntries, s.removed)
	if err != nil { // only for a size below one
		panic("tokencache: " + err.Error())
	}
	s.lru = lru
	return s
}

// removed is told by simplelru of every entry that leaves, whatever the
// reason. (Unlike expirable's, its calls are synchronous: mu is held.)
func (s *shard) removed(_ Key, e *entry) {
	s.countLocked(-e.size())
	s.cache.entries.Add(-1)
	if e.inUse() {
		s.cache.schedule.remove(e)
		s.cache.twins.remove(e)
	}
}

func (s *shard) countLocked(more int64) {
	s.bytes += more
	s.cache.bytes.Add(more)
}

// hit returns the remembered token of a key. The first hit plans its refresh,
// and the first since a key was prepared its twin.
func (s *shard) hit(key Key, life playback.Lifetime, now time.Time) (playback.Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.liveLocked(key, now)
	if !ok {
		return playback.Token{}, false
	}
	if e.era != e.of.era.Load() {
		s.useLocked(e, life)
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

// useLocked notes that an entry is in use, plans to refresh it ahead, and has
// its twin signed if a key is prepared.
func (s *shard) useLocked(e *entry, life playback.Lifetime) {
	c := s.cache
	if !c.refreshes.Load() {
		return
	}
	first := !e.inUse()
	e.era = e.of.era.Load()
	if first {
		e.live(life)
		c.plan(e)
	}
	c.follow(e)
	if first {
		s.countLocked(planOverhead)
		s.trimLocked()
	}
}

// storeLocked remembers a token that was signed. One that is larger than the
// shard, has expired, or is of a key that is gone, is not remembered; nor is a
// twin for which something in use would have to go.
func (s *shard) storeLocked(r *request, token playback.Token) bool {
	size := entrySize(token)
	of := s.sealLocked(r.claims)
	if size > s.maxBytes || of == nil || s.cache.now().Unix() >= r.claims.Exp {
		return false
	}
	if r.twin && !s.besideLocked(size) {
		return false
	}
	s.lru.Remove(r.key) // so that nothing is overwritten unseen
	s.countLocked(size)
	s.cache.entries.Add(1)
	s.lru.Add(r.key, newEntry(token, of, r.claims.Exp, r.life))
	s.trimLocked()
	return true
}

// sealLocked returns the seal of some claims, nil if their key is gone. Mostly
// it is that of the last token, and nothing shared is asked.
func (s *shard) sealLocked(c *playback.Claims) *seal {
	name := nameOf(c)
	if s.last == nil || s.last.sealName != name || stage(s.last.stage.Load()) == gone {
		s.last = s.cache.seals.of(name)
	}
	return s.last
}

func (s *shard) trimLocked() {
	for s.bytes > s.maxBytes {
		if _, _, ok := s.lru.RemoveOldest(); !ok {
			return
		}
	}
}
