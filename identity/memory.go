package identity

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/playgate/playgate/playback"
)

const (
	rememberFor = 5 * time.Minute
	maxShards   = 64
	// minShard is the least number of identities that is worth a shard: below
	// it, uneven hashing would forget too early.
	minShard = 32
)

// memoryKey is what an identity is remembered under. A token whose iss and aud
// fit one environment alone is found whatever the Host; its host is "". One
// that fits several is found only through the environment it was verified for.
type memoryKey struct {
	digest [sha256.Size]byte
	host   playback.EnvironmentID
}

// digest returns the SHA-256 of a token. The copy is on the stack, unlike that
// of a plain conversion, which would be the hot path's only allocation.
func digest(raw string) [sha256.Size]byte {
	const usual = 2 << 10
	if len(raw) > usual {
		return sha256.Sum256([]byte(raw))
	}
	var buffer [usual]byte
	return sha256.Sum256(buffer[:copy(buffer[:], raw)])
}

// remembered is a verified identity with everything that may end it but the
// list of issuers: a new list comes with a new memory.
type remembered struct {
	identity *Identity
	until    int64 // Unix nanoseconds, exclusive
	size     int   // bytes of the token
	key      *key
	source   *source
}

// stands reports whether the identity may still be believed.
func (r *remembered) stands(now int64) bool {
	return now < r.until && !r.key.withdrawn.Load() && r.source.usable(now)
}

// memory holds identities in shards, each with its own lock.
type memory struct {
	shards []shard // a power of two
}

type shard struct {
	mu         sync.Mutex
	lru        *simplelru.LRU[memoryKey, *remembered] // guarded by mu
	bytes      int                                    // guarded by mu: of the tokens held
	maxEntries int
	maxBytes   int
}

func newMemory(entries, bytes int) *memory {
	count := 1
	for count < maxShards && entries/(count*2) >= minShard {
		count *= 2
	}
	m := &memory{make([]shard, count)}
	for i := range m.shards {
		s := &m.shards[i]
		s.maxEntries = max(entries/count, 1)
		s.maxBytes = max(bytes/count, maxToken)
		lru, err := simplelru.NewLRU[memoryKey, *remembered](s.maxEntries, nil)
		if err != nil {
			panic(err) // it refuses sizes below 1 only
		}
		s.lru = lru
	}
	return m
}

func (m *memory) shard(k *memoryKey) *shard {
	return &m.shards[int(k.digest[0])&(len(m.shards)-1)]
}

// recall returns the identity if it still stands, and forgets it if not.
func (m *memory) recall(k memoryKey, now int64) (*Identity, bool) {
	s := m.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.lru.Get(k)
	if !ok {
		return nil, false
	}
	if !r.stands(now) {
		s.lru.Remove(k)
		s.bytes -= r.size
		return nil, false
	}
	return r.identity, true
}

func (m *memory) remember(k memoryKey, r *remembered) {
	s := m.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.lru.Peek(k); ok {
		s.lru.Remove(k)
		s.bytes -= old.size
	}
	for s.lru.Len() > 0 && (s.lru.Len() >= s.maxEntries || s.bytes+r.size > s.maxBytes) {
		_, oldest, _ := s.lru.RemoveOldest()
		s.bytes -= oldest.size
	}
	s.lru.Add(k, r)
	s.bytes += r.size
}

// len returns how many identities are held, for the metric.
func (m *memory) len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += s.lru.Len()
		s.mu.Unlock()
	}
	return n
}
