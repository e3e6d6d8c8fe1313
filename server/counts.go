package server

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// tally counts one kind of events, all of which have one key.
type tally struct {
	key  uint32
	n    atomic.Uint64
	next atomic.Pointer[tally]
}

// tallies counts events by key. What never occurs takes no memory: of all
// methods and statuses, a route has few. The key that came first is found first.
type tallies struct{ first atomic.Pointer[tally] }

// add counts one event.
func (l *tallies) add(key uint32) {
	for place := &l.first; ; {
		t := place.Load()
		if t == nil {
			t = &tally{key: key}
			if !place.CompareAndSwap(nil, t) {
				continue // another request was first
			}
		}
		if t.key == key {
			t.n.Add(1)
			return
		}
		place = &t.next
	}
}

// each visits all that was counted.
func (l *tallies) each(visit func(key uint32, n uint64)) {
	for t := l.first.Load(); t != nil; t = t.next.Load() {
		visit(t.key, t.n.Load())
	}
}

// environmentCounts is what is counted of one environment.
type environmentCounts struct {
	requests []tallies // by middleware.Endpoint.Number; keyed by method and status
	refusals tallies   // keyed by the code's place
}

// counts has what is counted of every environment that had a request. It
// outlives snapshots, so that a reload does not begin anew.
type counts struct {
	routes int
	// exists reports whether an environment is in the configuration in force.
	exists func(playback.EnvironmentID) bool
	// unresolved is what is counted of requests that name no environment.
	unresolved *environmentCounts

	mu   sync.Mutex
	byID map[playback.EnvironmentID]*environmentCounts
}

func newCounts(routes int, exists func(playback.EnvironmentID) bool) *counts {
	c := &counts{routes: routes, exists: exists, byID: map[playback.EnvironmentID]*environmentCounts{}}
	c.unresolved = c.empty()
	return c
}

func (c *counts) empty() *environmentCounts {
	return &environmentCounts{requests: make([]tallies, c.routes)}
}

// of returns the counts of the environment that the request is counted for. The
// snapshot remembers them, so that they are looked up once.
func (c *counts) of(x *middleware.Exchange) *environmentCounts {
	environment := x.CountedFor()
	snapshot, ok := x.Server.(*Snapshot)
	if environment == nil || !ok {
		return c.unresolved
	}
	place := &snapshot.counts[environment.Number]
	found := place.Load()
	if found == nil {
		found = c.byEnvironment(environment.ID)
		place.Store(found)
	}
	return found
}

func (c *counts) byEnvironment(id playback.EnvironmentID) *environmentCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.byID[id]
	if found == nil {
		found = c.empty()
		c.byID[id] = found
	}
	return found
}

// all returns the counts by environment, "" for requests that name none, and
// forgets those of environments that are gone.
func (c *counts) all() map[playback.EnvironmentID]*environmentCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.byID, func(id playback.EnvironmentID, _ *environmentCounts) bool { return !c.exists(id) })
	all := maps.Clone(c.byID)
	all[""] = c.unresolved
	return all
}
