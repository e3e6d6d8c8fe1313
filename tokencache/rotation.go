package tokencache

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/playback"
)

// SigningKey names a key: its ID is the operator's word, its thumbprint the
// material's. The zero SigningKey is none.
type SigningKey struct {
	ID         playback.KeyID
	Thumbprint playback.Thumbprint
}

// Rotation is where an environment stands between two keys.
type Rotation struct {
	Environment playback.EnvironmentID
	Active      SigningKey // what requests ask for now; zero: none
	Prepared    SigningKey // what they will ask for next; zero: nothing is prepared
	// Activation is when the prepared key becomes active at the soonest; zero:
	// at any moment.
	Activation time.Time
}

// SetRotations tells the cache of the keys of all environments; call it after
// each change of them. While a key is prepared, the tokens in use are signed
// under it, too, so that they are there when it becomes active. What was signed
// under a key that is neither active nor prepared any more makes room at once.
//
// A cache that was never told remembers the tokens of every key.
func (c *Cache) SetRotations(all []Rotation) {
	if c.seals.set(all) {
		c.begin(c.sweep)
	}
}

// sweep removes the tokens of keys that are gone: nobody asks for them. It
// holds each shard's lock for a moment at a time, because requests wait for it.
func (c *Cache) sweep() {
	const few = 64
	for _, s := range c.shards {
		s.mu.Lock()
		keys := s.lru.Keys()
		s.mu.Unlock()
		for some := range slices.Chunk(keys, few) {
			if c.root.Err() != nil {
				return
			}
			s.removeGone(some)
		}
	}
	c.twins.forget()
}

func (s *shard) removeGone(keys []Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if e, ok := s.lru.Peek(key); ok && stage(e.of.stage.Load()) == gone {
			s.lru.Remove(key)
		}
	}
}

// seal is a key as an environment's tokens carry it: what all tokens under it
// have in common, so that each of them refers to it by one pointer.
type seal struct {
	sealName
	stage atomic.Int32 // a stage
	// next is the seal of the prepared key while this one is active, nil while
	// none is prepared. era changes with it, after it, and is never 0: it tells
	// an entry whether it was seen in use since.
	next       atomic.Pointer[seal]
	era        atomic.Uint32
	activation atomic.Int64 // of next: Unix seconds
}

type sealName struct {
	env playback.EnvironmentID
	key SigningKey
	kid playback.KidPlacement
}

func nameOf(c *playback.Claims) sealName {
	return sealName{c.Environment, SigningKey{c.Key, c.Thumbprint}, c.Kid}
}

type stage int32

const (
	active stage = iota
	prepared
	gone
)

// seals are the seals of all tokens that may be remembered. Lock order: after
// shard.mu.
type seals struct {
	mu        sync.RWMutex
	rotations map[playback.EnvironmentID]Rotation // nil: SetRotations was never called
	all       map[sealName]*seal
}

// of returns the seal of a name, nil if its key is gone.
func (s *seals) of(name sealName) *seal {
	s.mu.RLock()
	found, ok := s.all[name]
	s.mu.RUnlock()
	if ok {
		return found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sealLocked(name)
}

// set takes over the rotations, and reports whether a key is gone by that.
func (s *seals) set(all []Rotation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotations = make(map[playback.EnvironmentID]Rotation, len(all))
	for _, r := range all {
		s.rotations[r.Environment] = r
	}
	swept := false
	for _, name := range slices.Collect(maps.Keys(s.all)) {
		old := s.all[name]
		if s.sealLocked(name) == nil {
			old.stage.Store(int32(gone))
			old.next.Store(nil)
			delete(s.all, name)
			swept = true
		}
	}
	return swept
}

// sealLocked returns the seal of a name as the rotations have it, nil if its
// key is gone.
func (s *seals) sealLocked(name sealName) *seal {
	r, ok := s.rotations[name.env]
	at := active
	switch {
	case s.rotations == nil || ok && name.key == r.Active:
	case ok && name.key == r.Prepared:
		at = prepared
	default:
		return nil
	}
	found, ok := s.all[name]
	if !ok {
		found = &seal{sealName: name}
		found.era.Store(1)
		s.all[name] = found
	}
	found.stage.Store(int32(at))
	var next *seal
	if at == active && r.Prepared != (SigningKey{}) {
		next = s.sealLocked(sealName{name.env, r.Prepared, name.kid})
	}
	found.activation.Store(r.Activation.Unix())
	if next != found.next.Load() {
		found.next.Store(next)
		found.era.Add(1)
	}
	return found
}
