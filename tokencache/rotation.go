package tokencache

import (
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

// SetRotation tells the cache of the keys of one environment; call it after each
// change of them, one call at a time for one environment. One without keys is
// forgotten. While a key is prepared, the tokens in use are signed under it, too,
// so that they are there when it becomes active. What was signed under a key that
// is neither active nor prepared any more makes room at once.
//
// A cache that was never told remembers the tokens of every key.
func (c *Cache) SetRotation(r Rotation) {
	if c.seals.set(r) {
		c.sweepSoon()
	}
}

// sweepSoon starts a sweep, or has the one under way followed by another: however
// many keys go at once, one goroutine walks through the cache.
func (c *Cache) sweepSoon() {
	if c.sweeps.Add(1) > 1 {
		return
	}
	c.begin(func() {
		for wanted := int64(0); !c.sweeps.CompareAndSwap(wanted, 0); {
			wanted = c.sweeps.Load()
			c.sweep()
		}
	})
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
			for _, e := range s.removeGone(some) {
				c.inherit(e)
			}
		}
	}
	c.twins.forget()
}

// removeGone removes those of the keys whose signing key is gone, and returns
// the entries among them that requests would still have asked for.
func (s *shard) removeGone(keys []Key) (used []*entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cache.now()
	for _, key := range keys {
		e, ok := s.lru.Peek(key)
		if !ok || stage(e.of.stage.Load()) != gone {
			continue
		}
		s.lru.Remove(key)
		if e.inUse() && now.Before(e.rollover()) {
			used = append(used, e)
		}
	}
	return used
}

// inherit notes that the twin of an entry whose key is gone is in use, as the
// entry was: who asked for the one will ask for the other. If that took until
// somebody does, a twin that rolls over soon after the switch would never have
// been refreshed.
func (c *Cache) inherit(e *entry) {
	claims, err := c.claimsOf(e)
	if err != nil {
		return
	}
	heir := c.seals.activeOf(e.of.env)
	claims.Key, claims.Thumbprint = heir.ID, heir.Thumbprint
	key := KeyOf(&claims)
	s := c.shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if twin, ok := s.lru.Peek(key); ok && !twin.inUse() {
		s.useLocked(twin, twin.lifetime())
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
	rotations map[playback.EnvironmentID]Rotation // nil: SetRotation was never called
	all       map[playback.EnvironmentID][]*seal  // a few of each environment
}

// of returns the seal of a name, nil if its key is gone.
func (s *seals) of(name sealName) *seal {
	s.mu.RLock()
	found := s.findLocked(name)
	s.mu.RUnlock()
	if found != nil {
		return found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sealLocked(name)
}

func (s *seals) findLocked(name sealName) *seal {
	for _, one := range s.all[name.env] {
		if one.sealName == name {
			return one
		}
	}
	return nil
}

// set takes over a rotation, and reports whether a key is gone by that.
func (s *seals) set(r Rotation) (swept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rotations == nil {
		s.rotations = map[playback.EnvironmentID]Rotation{}
		swept = s.dropStrangersLocked(r.Environment)
	}
	if r.Active == (SigningKey{}) && r.Prepared == (SigningKey{}) {
		delete(s.rotations, r.Environment)
	} else {
		s.rotations[r.Environment] = r
	}
	return s.settleLocked(r.Environment) || swept
}

// dropStrangersLocked drops what was remembered before the first rotation was
// known, but for one environment.
func (s *seals) dropStrangersLocked(known playback.EnvironmentID) (swept bool) {
	for env := range s.all {
		if env != known {
			swept = s.settleLocked(env) || swept
		}
	}
	return swept
}

// settleLocked brings the seals of an environment in line with its rotation, and
// reports whether a key is gone by that.
func (s *seals) settleLocked(env playback.EnvironmentID) (swept bool) {
	for _, old := range slices.Clone(s.all[env]) {
		if s.sealLocked(old.sealName) == nil {
			old.stage.Store(int32(gone))
			old.next.Store(nil)
			s.all[env] = slices.DeleteFunc(s.all[env], func(one *seal) bool { return one == old })
			swept = true
		}
	}
	if len(s.all[env]) == 0 {
		delete(s.all, env)
	}
	return swept
}

// activeOf returns the key that requests of an environment ask for; zero: none.
func (s *seals) activeOf(env playback.EnvironmentID) SigningKey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rotations[env].Active
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
	found := s.findLocked(name)
	if found == nil {
		found = &seal{sealName: name}
		found.era.Store(1)
		s.all[name.env] = append(s.all[name.env], found)
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
