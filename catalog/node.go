package catalog

import (
	"strings"
	"sync/atomic"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// node is an asset or a live stream that was learned of. It is kept as it is
// stored, because most of a large catalogue is not asked for: what rules and
// tokens need is made when it first is, and dropped when it no longer is.
type node struct {
	id      string
	data    string       // a description, as it was stored
	ids     string       // of its playback IDs, by spaces
	version atomic.Int64 // when Mux last said so, Unix microseconds
	seq     int64        // the writer's
	built   atomic.Pointer[built]
	live    bool        // a live stream
	used    atomic.Bool // since the last sweep
}

// built is a node under what one configuration says. Immutable.
type built struct {
	over    *Catalog
	objects []*playback.Object // catalogue order
}

// newNode keeps all texts of a record in one piece: a first look-up compares the
// playback ID and then reads the description, which is not in the processor's
// caches, and the next line of memory comes by itself.
func newNode(o *store.Object) *node {
	ids := joined(o.PlaybackIDs)
	text := o.ID + ids + string(o.Data)
	end := len(o.ID) + len(ids)
	n := &node{id: text[:len(o.ID)], ids: text[len(o.ID):end], data: text[end:], seq: o.Seq, live: o.Kind == store.LiveStream}
	n.version.Store(o.Version)
	return n
}

func joined(ids []playback.ID) string {
	switch len(ids) {
	case 0:
		return ""
	case 1:
		return string(ids[0])
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return strings.Join(texts, " ")
}

// playbackIDs calls yield with each playback ID, a view of ids.
func (n *node) playbackIDs(yield func(playback.ID) bool) {
	for id := range strings.FieldsSeq(n.ids) {
		if !yield(playback.ID(id)) {
			return
		}
	}
}

func (n *node) kind() store.Kind {
	if n.live {
		return store.LiveStream
	}
	return store.Asset
}

// under returns the node's objects under what a configuration says.
func (n *node) under(o *Catalog) []*playback.Object {
	if !n.used.Load() {
		n.used.Store(true) // a load first: readers share the line until the next sweep
	}
	if b := n.built.Load(); b != nil && b.over == o {
		return b.objects
	}
	b := n.build(o)
	n.built.Store(b)
	return b.objects
}

// find returns the object of a playback ID, nil if the node has none.
func (n *node) find(id playback.ID, o *Catalog) *playback.Object {
	for _, object := range n.under(o) {
		if object.ID == id {
			return object
		}
	}
	return nil
}

// single is everything that is made of a node with one playback ID, as nearly all
// are, in one piece of memory: a viewer waits while it is made.
type single struct {
	built  built
	list   [1]*playback.Object
	object playback.Object
	memo   playback.Memo
	asset  playback.Asset
}

// build makes the objects: those that the configuration lists for this asset or
// live stream first, in its order, then the learned ones in Mux's.
func (n *node) build(o *Catalog) *built {
	d := parse(n.data)
	room := new(single)
	base := playback.Object{Known: true}
	var listed []*playback.Object
	if n.live {
		base.LiveStream = &playback.LiveStream{ID: playback.LiveStreamID(n.id), Status: d.Status}
		o.overStream(base.LiveStream)
		listed = o.ByLiveStream(base.LiveStream.ID)
	} else {
		room.asset = playback.Asset{
			ID: playback.AssetID(n.id), Duration: d.Duration, Status: d.Status, Passthrough: d.Passthrough, Meta: d.Meta,
			CreatedAt: d.createdAt(), LiveStreamID: d.LiveStreamID,
		}
		base.Asset = &room.asset
		o.overAsset(base.Asset)
		listed = o.ByAsset(base.Asset.ID)
	}
	b := &room.built
	b.over, b.objects = o, room.list[:0]
	for _, p := range listed {
		object := base
		object.ID, object.Policy = p.ID, p.Policy
		if p.Asset != nil && p.LiveStream != nil { // names both; the other half is the entries' own
			object.Asset, object.LiveStream = p.Asset, p.LiveStream
		}
		room.add(&object)
	}
	i := -1
	for id := range n.playbackIDs {
		if i++; i >= len(d.Policies) {
			break // whoever wrote that into the store gets nothing signed for it
		}
		object := base
		object.ID, object.Policy = id, d.Policies[i]
		if p := o.objects[id]; p != nil {
			if p.Asset != nil || p.LiveStream != nil {
				continue // the configuration says where it belongs
			}
			object.Policy = p.Policy
		}
		room.add(&object)
	}
	return b
}

// add appends a copy of an object, the first in place.
func (s *single) add(object *playback.Object) {
	b := &s.built
	kept, memo := &s.object, &s.memo
	if len(b.objects) > 0 {
		kept, memo = new(playback.Object), new(playback.Memo)
	}
	*kept = *object
	kept.Memo = memo
	b.objects = append(b.objects, kept)
}

// same reports whether a node says the same as a record.
func (n *node) same(o *store.Object) bool {
	return !o.Deleted && n.data == string(o.Data) && n.ids == joined(o.PlaybackIDs)
}
