package catalog

import (
	"errors"
	"reflect"
	"slices"

	"github.com/playgate/playgate/playback"
)

// Catalog is everything known of one environment's playback IDs. It is
// immutable.
type Catalog struct {
	objects map[playback.ID]*playback.Object
	assets  map[playback.AssetID]*asset
	streams map[playback.LiveStreamID]*liveStream
	order   []*playback.Object
}

// asset is what the entries say of one asset.
type asset struct {
	playback.Asset

	given   [assetFields]int32 // the entry that gave each field first, -1 for none
	objects []*playback.Object // its playback IDs, in the order of the entries
}

const (
	durationField = iota
	statusField
	passthroughField
	metaField
	createdAtField
	assetFields
)

// liveStream is what the entries say of one live stream, like asset.
type liveStream struct {
	playback.LiveStream

	status  int32
	objects []*playback.Object
}

// New builds a catalogue. Entries that name one asset or live stream share it;
// a field given twice differently, a playback ID given twice, an ID out of its
// grammar and an unknown policy are problems. The error joins one *EntryError for
// each. Meta maps are taken over: the caller must not change them afterwards.
func New(entries []Entry) (*Catalog, error) {
	c, problems := build(entries)
	if len(problems) == 0 {
		return c, nil
	}
	list := make([]error, 0, len(problems))
	for _, p := range problems {
		list = append(list, p)
	}
	return nil, errors.Join(list...)
}

// Check returns what New would refuse, in the order of the entries.
func Check(entries []Entry) []*EntryError {
	_, problems := build(entries)
	return problems
}

func build(entries []Entry) (*Catalog, []*EntryError) {
	m := newMerger(len(entries))
	order := make([]*playback.Object, len(entries))
	for i := range entries {
		order[i] = m.entry(int32(i), &entries[i])
	}
	return &Catalog{objects: m.objects, assets: m.assets, streams: m.streams, order: order}, m.problems
}

// Lookup returns what the playback ID is; false if the catalogue does not hold
// it. It does not allocate.
func (c *Catalog) Lookup(id playback.ID) (*playback.Object, bool) {
	o, ok := c.objects[id]
	return o, ok
}

// ByAsset returns the playback IDs of an asset in catalogue order, nil if
// there are none. The caller must not change the slice.
func (c *Catalog) ByAsset(id playback.AssetID) []*playback.Object {
	if a := c.assets[id]; a != nil {
		return a.objects
	}
	return nil
}

// ByLiveStream returns the playback IDs of a live stream in catalogue order,
// nil if there are none. The caller must not change the slice.
func (c *Catalog) ByLiveStream(id playback.LiveStreamID) []*playback.Object {
	if s := c.streams[id]; s != nil {
		return s.objects
	}
	return nil
}

// Objects returns everything in catalogue order, for the warnings about rules.
// The caller must not change the slice.
func (c *Catalog) Objects() []*playback.Object { return c.order }

// overAsset states what the entries say of an asset: that counts, whatever Mux
// says.
func (c *Catalog) overAsset(a *playback.Asset) {
	stated := c.assets[a.ID]
	if stated == nil {
		return
	}
	if stated.given[durationField] >= 0 {
		a.Duration = stated.Duration
	}
	if stated.given[statusField] >= 0 {
		a.Status = stated.Status
	}
	if stated.given[passthroughField] >= 0 {
		a.Passthrough = stated.Passthrough
	}
	if stated.given[metaField] >= 0 {
		a.Meta = stated.Meta
	}
	if stated.given[createdAtField] >= 0 {
		a.CreatedAt = stated.CreatedAt
	}
}

// overStream states what the entries say of a live stream.
func (c *Catalog) overStream(l *playback.LiveStream) {
	if stated := c.streams[l.ID]; stated != nil && stated.status >= 0 {
		l.Status = stated.Status
	}
}

// same reports whether both were made of equal entries.
func (c *Catalog) same(other *Catalog) bool {
	return c == other || slices.EqualFunc(c.order, other.order, func(a, b *playback.Object) bool {
		return a.ID == b.ID && a.Policy == b.Policy && (a.Asset == nil) == (b.Asset == nil) && (a.LiveStream == nil) == (b.LiveStream == nil) &&
			(a.Asset == nil || a.Asset.ID == b.Asset.ID && c.assets[a.Asset.ID].same(other.assets[b.Asset.ID])) &&
			(a.LiveStream == nil || *a.LiveStream == *b.LiveStream && c.streams[a.LiveStream.ID].status == other.streams[b.LiveStream.ID].status)
	})
}

// same reports whether the entries say the same of both.
func (a *asset) same(b *asset) bool {
	return a.given == b.given && reflect.DeepEqual(a.Asset, b.Asset)
}

// Len returns the number of playback IDs.
func (c *Catalog) Len() int { return len(c.order) }
