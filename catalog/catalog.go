package catalog

import (
	"errors"

	"github.com/playgate/playgate/playback"
)

// Catalog is everything known of one environment's playback IDs. It is
// immutable.
type Catalog struct {
	objects map[playback.ID]*playback.Object
	assets  map[playback.AssetID][]*playback.Object
	streams map[playback.LiveStreamID][]*playback.Object
	order   []*playback.Object
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
	c := &Catalog{
		objects: make(map[playback.ID]*playback.Object, len(entries)),
		assets:  map[playback.AssetID][]*playback.Object{},
		streams: map[playback.LiveStreamID][]*playback.Object{},
		order:   make([]*playback.Object, 0, len(entries)),
	}
	m := newMerger(len(entries))
	for i := range entries {
		o := m.entry(i, &entries[i])
		c.objects[o.ID] = o
		c.order = append(c.order, o)
		if o.Asset != nil {
			c.assets[o.Asset.ID] = append(c.assets[o.Asset.ID], o)
		}
		if o.LiveStream != nil {
			c.streams[o.LiveStream.ID] = append(c.streams[o.LiveStream.ID], o)
		}
	}
	return c, m.problems
}

// Lookup returns what the playback ID is; false if the catalogue does not hold
// it. It does not allocate.
func (c *Catalog) Lookup(id playback.ID) (*playback.Object, bool) {
	o, ok := c.objects[id]
	return o, ok
}

// ByAsset returns the playback IDs of an asset in catalogue order, nil if
// there are none. The caller must not change the slice.
func (c *Catalog) ByAsset(id playback.AssetID) []*playback.Object { return c.assets[id] }

// ByLiveStream returns the playback IDs of a live stream in catalogue order,
// nil if there are none. The caller must not change the slice.
func (c *Catalog) ByLiveStream(id playback.LiveStreamID) []*playback.Object { return c.streams[id] }

// Objects returns everything in catalogue order, for the warnings about rules.
// The caller must not change the slice.
func (c *Catalog) Objects() []*playback.Object { return c.order }

// Len returns the number of playback IDs.
func (c *Catalog) Len() int { return len(c.order) }
