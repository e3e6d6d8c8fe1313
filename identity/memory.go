package identity

import (
	"hash/maphash"
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

// memoryKey is where an identity is looked for. A token whose iss and recipients fit
// one environment alone is found whatever the Host; its host is "". One that
// fits several is found only through the environment it was verified for.
//
// The hash only finds the place: an identity is given to the very token that it
// was verified from, byte by byte, and to no other. A hash that resists attacks
// (SHA-256 takes ten times as long) would gain nothing: the seed is secret, and
// two tokens that met by chance would be verified in turn.
type memoryKey struct {
	hash uint64
	host playback.EnvironmentID
}

// remembered is a verified identity with everything that may end it but the
// list of issuers: a new list comes with a new memory.
type remembered struct {
	identity *Identity
	token    string
	until    int64 // Unix nanoseconds, exclusive
	key      *key
	source   *source
}

// stands reports whether the identity may still be believed.
func (r *remembered) stands(now int64) bool {
	return now < r.until && !r.key.withdrawn.Load() && r.source.usable(now)
}

// memory holds identities in shards, each with its own lock.
type memory struct {
	seed   maphash.Seed
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
	m := &memory{maphash.MakeSeed(), make([]shard, count)}
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

// keyOf returns where a token that fits one environment alone is remembered.
func (m *memory) keyOf(token string) memoryKey {
	return memoryKey{hash: maphash.String(m.seed, token)}
}

func (m *memory) shard(k memoryKey) *shard {
	return &m.shards[k.hash&uint64(len(m.shards)-1)] //nolint:gosec // at least one
}

// recall returns the token's identity if it still stands, and forgets it if
// not. The comparison may take as long as it takes: nobody gets as far with a
// token that is not the right one, unless they know the seed.
func (m *memory) recall(k memoryKey, token string, now int64) (*Identity, bool) {
	s := m.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.lru.Get(k)
	if !ok || r.token != token {
		return nil, false
	}
	if !r.stands(now) {
		s.lru.Remove(k)
		s.bytes -= len(r.token)
		return nil, false
	}
	return r.identity, true
}

func (m *memory) remember(k memoryKey, r *remembered) {
	s := m.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.lru.Peek(k); ok {
		s.lru.Remove(k)
		s.bytes -= len(old.token)
	}
	for s.lru.Len() > 0 && (s.lru.Len() >= s.maxEntries || s.bytes+len(r.token) > s.maxBytes) {
		_, oldest, _ := s.lru.RemoveOldest()
		s.bytes -= len(oldest.token)
	}
	s.lru.Add(k, r)
	s.bytes += len(r.token)
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
