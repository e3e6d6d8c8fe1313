package catalog

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// Live is what one environment's catalogue learned from Mux. What it holds
// changes; the objects that it gives out never do. Library makes it.
type Live struct {
	env     playback.EnvironmentID
	pids    *index[playback.ID]
	assets  *index[playback.AssetID]
	streams *index[playback.LiveStreamID]
	synced  atomic.Bool  // a Syncer looks after it
	rewound atomic.Int64 // when the store last went back to an earlier state, Unix microseconds; 0: never
	gone    *node        // stands behind the playback IDs that are no more

	mu      sync.Mutex // one writer at a time; guards tied and deleted
	tied    map[target]struct{}
	deleted map[target]struct{}     // what a store that goes back must not bring back
	over    atomic.Pointer[Catalog] // of the last View
}

func newLive(env playback.EnvironmentID) *Live {
	return &Live{
		env: env, pids: newIndex[playback.ID](), assets: newIndex[playback.AssetID](), streams: newIndex[playback.LiveStreamID](),
		gone: new(node), tied: map[target]struct{}{}, deleted: map[target]struct{}{},
	}
}

// change is a change of the three indexes that is under way.
type change struct {
	live    *Live
	pids    *edit[playback.ID]
	assets  *edit[playback.AssetID]
	streams *edit[playback.LiveStreamID]
}

// begin begins a change; end ends it. There is one at a time.
func (l *Live) begin() *change {
	l.mu.Lock()
	return &change{live: l, pids: l.pids.edit(), assets: l.assets.edit(), streams: l.streams.edit()}
}

// end shows the change to readers. Between the indexes there is a moment in
// which a playback ID is found whose object is not yet; none in which it leads
// to what it never was.
func (c *change) end() {
	c.assets.commit()
	c.streams.commit()
	c.pids.commit()
	c.live.mu.Unlock()
}

func (c *change) get(kind store.Kind, id string) *node {
	if kind == store.LiveStream {
		return c.streams.get(playback.LiveStreamID(id))
	}
	return c.assets.get(playback.AssetID(id))
}

// apply takes over a record; one that was seen before changes nothing.
func (c *change) apply(o *store.Object) {
	if o.Kind == store.PlaybackID {
		if id := playback.ID(o.ID); c.pids.get(id) == nil {
			c.pids.put(id, c.live.gone)
		}
		return
	}
	old := c.get(o.Kind, o.ID)
	if old != nil && old.seq >= o.Seq {
		return
	}
	if old != nil && old.same(o) { // what rules made of it stays
		old.seq = o.Seq
		old.version.Store(o.Version)
		return
	}
	var next *node
	if o.Deleted {
		c.live.deleted[target{o.Kind, o.ID}] = struct{}{}
	} else {
		next = newNode(o)
	}
	if next != nil && isTied(next.data) {
		c.live.tied[target{o.Kind, o.ID}] = struct{}{}
	} else {
		delete(c.live.tied, target{o.Kind, o.ID})
	}
	if old != nil {
		for id := range old.playbackIDs {
			if c.pids.get(id) == old {
				c.pids.put(id, c.live.gone)
			}
		}
	}
	c.place(o, next)
}

func (c *change) place(o *store.Object, next *node) {
	if next == nil {
		if o.Kind == store.LiveStream {
			c.streams.remove(playback.LiveStreamID(o.ID))
		} else {
			c.assets.remove(playback.AssetID(o.ID))
		}
		return
	}
	if o.Kind == store.LiveStream {
		c.streams.put(playback.LiveStreamID(next.id), next)
	} else {
		c.assets.put(playback.AssetID(next.id), next)
	}
	for id := range next.playbackIDs {
		// A playback ID belongs to one object for ever. Should two claim it, the
		// outcome must not depend on which came first.
		if other := c.pids.get(id); other == nil || other == c.live.gone || rank(next) < rank(other) {
			c.pids.put(id, next)
		}
	}
}

func rank(n *node) string { return string(n.kind()) + " " + n.id }

// Len returns how many playback IDs were learned.
func (l *Live) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pids.count
}

// tiedAt reports whether the reports of an object disagree that have this
// version.
func (l *Live) tiedAt(t target, version int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, tied := l.tied[t]; !tied {
		return false
	}
	n := l.assets.get(playback.AssetID(t.id))
	if t.kind == store.LiveStream {
		n = l.streams.get(playback.LiveStreamID(t.id))
	}
	return n.version.Load() == version
}

// ties returns the objects whose reports disagree, a map of the caller's own.
func (l *Live) ties() map[target]struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.tied)
}

// View lays what a configuration says over what was learned: what an entry states
// wins, what it leaves out is taken from Mux.
func (l *Live) View(known *Catalog) *View {
	if last := l.over.Load(); last != nil && last.same(known) {
		known = last // what was built under it stays good
	}
	l.over.Store(known)
	return &View{live: l, over: known}
}

// View is one environment's catalogue: what its configuration states, and what
// was learned. Lookups take constant time, no lock, and do not allocate, but
// for the first of an object in a while.
type View struct {
	live *Live
	over *Catalog
}

// Lookup returns the object of a playback ID.
func (v *View) Lookup(id playback.ID) (*playback.Object, bool) {
	if len(v.over.objects) > 0 {
		if o := v.over.objects[id]; o != nil {
			return v.listed(o), true
		}
	}
	n := v.live.pids.get(id)
	if n == nil || n == v.live.gone {
		return nil, false
	}
	object := n.find(id, v.over)
	return object, object != nil
}

// Gone reports whether a playback ID was there and is no more, in contrast to
// one that nothing is known of.
func (v *View) Gone(id playback.ID) bool { return v.live.pids.get(id) == v.live.gone }

// listed returns the object of a playback ID that the configuration lists; o is
// the one by the configuration alone.
func (v *View) listed(o *playback.Object) *playback.Object {
	var n *node
	switch {
	case o.Asset != nil && o.LiveStream != nil:
	case o.Asset != nil:
		n = v.live.assets.get(o.Asset.ID)
	case o.LiveStream != nil:
		n = v.live.streams.get(o.LiveStream.ID)
	default:
		n = v.live.pids.get(o.ID)
	}
	if n != nil && n != v.live.gone {
		if object := n.find(o.ID, v.over); object != nil {
			return object
		}
	}
	return o
}

// ByAsset returns the objects of an asset, those that the configuration lists
// first.
func (v *View) ByAsset(id playback.AssetID) []*playback.Object {
	if n := v.live.assets.get(id); n != nil {
		return n.under(v.over)
	}
	return v.over.ByAsset(id)
}

// ByLiveStream returns the objects of a live stream, those that the
// configuration lists first.
func (v *View) ByLiveStream(id playback.LiveStreamID) []*playback.Object {
	if n := v.live.streams.get(id); n != nil {
		return n.under(v.over)
	}
	return v.over.ByLiveStream(id)
}
