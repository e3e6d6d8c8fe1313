package tokencache

import (
	"container/list"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
)

// A twin is a token in use, signed under its environment's prepared key ahead
// of the switch. Nobody can get it before: a request gets the token of the
// claims that it presents, and presents those of the active key.

// twins are the entries in use whose twin is to be signed: those asked for
// since the key was prepared, in that order, so the hottest come first. Every
// one of them is in the cache and leaves with it.
type twins struct {
	mu      sync.Mutex // after shard.mu
	line    list.List  // of *entry
	places  map[*entry]*list.Element
	signing int // that were taken from the line and are not done
}

// add puts an entry at the end of the line, if it is not there; most is how
// many fit. first: it is the first of all now.
func (t *twins) add(e *entry, most float64) (first, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, waits := t.places[e]; waits {
		return false, true
	}
	if float64(t.line.Len()) >= most {
		return false, false
	}
	t.places[e] = t.line.PushBack(e)
	return t.line.Len() == 1, true
}

// remove takes an entry out of the line, if it is there.
func (t *twins) remove(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if place, ok := t.places[e]; ok {
		t.line.Remove(place)
		delete(t.places, e)
	}
}

// next takes out the first entry, nil if there is none. done must follow.
func (t *twins) next() *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	front := t.line.Front()
	if front == nil {
		return nil
	}
	e := t.line.Remove(front).(*entry) // the line holds nothing else
	delete(t.places, e)
	t.signing++
	return e
}

// forget gives back the memory of a line that was long.
func (t *twins) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.line.Len() == 0 {
		t.places = make(map[*entry]*list.Element)
	}
}

func (t *twins) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.signing--
}

// cold returns how many tokens in use wait for their twin.
func (t *twins) cold() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line.Len() + t.signing
}

// follow has the twin of an entry in use signed, if a key is prepared. No more
// entries wait than the budget pays for until the switch, with one twin each;
// once the switch is overdue, for a second.
func (c *Cache) follow(e *entry) {
	if e.of.next.Load() == nil {
		return
	}
	left := max(time.Second, time.Unix(e.of.activation.Load(), 0).Sub(c.now()))
	first, ok := c.twins.add(e, left.Seconds()*c.perSecond())
	switch {
	case !ok:
		c.metrics.presigned(aheadOverBudget)
	case first:
		c.rouse()
	}
}

// nextTwins returns what is to be signed for the first of the line for which
// something is; none: for nobody. done must follow if there is any.
func (c *Cache) nextTwins() []request {
	for e := c.twins.next(); e != nil; e = c.twins.next() {
		if missing := c.missingTwins(e); len(missing) > 0 {
			return missing
		}
		c.twins.done()
	}
	return nil
}

// missingTwins returns the questions for the twin of an entry, and for that of
// the token that will be asked for next, if that is there, too. It was signed
// before the key was prepared, or it would have its twin; and it may be asked for
// before the switch, or so soon after it that nothing can be signed ahead any
// more. Twins that are there already are counted and left out.
func (c *Cache) missingTwins(e *entry) []request {
	claims, err := c.claimsOf(e)
	if err != nil {
		c.metrics.presigned(aheadNoKey)
		return nil
	}
	var missing []request
	add := func(life playback.Lifetime) bool {
		twin, ok := twinOf(e.of, &claims, life)
		switch {
		case !ok:
			c.metrics.presigned(aheadNoKey)
		case c.held(KeyOf(twin.claims)) != nil:
			c.metrics.presigned(aheadPresent)
		default:
			missing = append(missing, twin)
		}
		return ok
	}
	life := e.lifetime()
	if !add(life) || life.Cut {
		return missing
	}
	life.Exp += life.G
	if claims.Exp = life.Exp; c.held(KeyOf(&claims)) != nil {
		add(life)
	}
	return missing
}

// twinOf returns the question for the twin of a token; false: no key is
// prepared.
func twinOf(of *seal, claims *playback.Claims, life playback.Lifetime) (request, bool) {
	next := of.next.Load()
	if next == nil {
		return request{}, false
	}
	twin := *claims
	twin.Key, twin.Thumbprint = next.key.ID, next.key.Thumbprint
	return request{claims: &twin, life: life, twin: true}, true
}

func (c *Cache) signTwins(twins []request) {
	for i := range twins {
		result, err := c.signAhead(&twins[i])
		c.metrics.presigned(result)
		c.complain(twins[i].claims, err)
	}
}

// besideLocked makes room for a twin of a size beside what is in use, and
// reports whether there is any: only what nobody asks for makes way.
func (s *shard) besideLocked(size int64) bool {
	now := s.cache.now()
	for s.lru.Len() >= s.maxEntries || s.bytes+size > s.maxBytes {
		_, oldest, ok := s.lru.GetOldest()
		if !ok || !oldest.idle(now) {
			return false
		}
		s.lru.RemoveOldest()
	}
	return true
}

// idle reports whether nobody is expected to ask for an entry: it rolled over,
// its key is gone, or it was asked for once and is no twin.
func (e *entry) idle(now time.Time) bool {
	at := stage(e.of.stage.Load())
	return at == gone || now.After(e.rollover()) || !e.inUse() && at != prepared
}
