package catalog

import "github.com/playgate/playgate/playback"

// overlay is what the configuration says, ready to be laid over what was
// learned: what an entry states wins, what it leaves out is taken from Mux.
// Immutable.
type overlay struct {
	known   *Catalog // the entries alone, for what Mux was not heard of
	pids    map[playback.ID]*pinned
	assets  map[playback.AssetID]*Asset
	streams map[playback.LiveStreamID]*LiveStream
	// The pinned playback IDs of an asset or a live stream, in the order of the
	// configuration.
	byAsset  map[playback.AssetID][]*pinned
	byStream map[playback.LiveStreamID][]*pinned
}

// pinned is a playback ID that the configuration lists.
type pinned struct {
	entry  Entry
	object *playback.Object // by the entries alone
}

func newOverlay(entries []Entry) (*overlay, error) {
	known, err := New(entries)
	if err != nil {
		return nil, err
	}
	o := &overlay{
		known: known, pids: make(map[playback.ID]*pinned, len(entries)),
		assets: map[playback.AssetID]*Asset{}, streams: map[playback.LiveStreamID]*LiveStream{},
		byAsset: map[playback.AssetID][]*pinned{}, byStream: map[playback.LiveStreamID][]*pinned{},
	}
	for _, e := range entries {
		p := &pinned{entry: e}
		p.object, _ = known.Lookup(e.ID)
		o.pids[e.ID] = p
		if e.Asset != nil {
			o.asset(e.Asset)
			o.byAsset[e.Asset.ID] = append(o.byAsset[e.Asset.ID], p)
		}
		if e.LiveStream != nil {
			if have := o.streams[e.LiveStream.ID]; have == nil || have.Status == nil {
				o.streams[e.LiveStream.ID] = e.LiveStream
			}
			o.byStream[e.LiveStream.ID] = append(o.byStream[e.LiveStream.ID], p)
		}
	}
	return o, nil
}

// asset brings together what entries state of one asset; New has seen that they
// agree.
func (o *overlay) asset(a *Asset) {
	all := o.assets[a.ID]
	if all == nil {
		all = &Asset{ID: a.ID}
		o.assets[a.ID] = all
	}
	first(&all.Duration, a.Duration)
	first(&all.Status, a.Status)
	first(&all.Passthrough, a.Passthrough)
	first(&all.CreatedAt, a.CreatedAt)
	if all.Meta == nil {
		all.Meta = a.Meta
	}
}

func first[T any](have **T, given *T) {
	if *have == nil {
		*have = given
	}
}

func state[T any](what, stated *T) {
	if stated != nil {
		*what = *stated
	}
}

// overAsset states what the configuration says of an asset.
func (o *overlay) overAsset(a *playback.Asset) {
	stated := o.assets[a.ID]
	if stated == nil {
		return
	}
	state(&a.Duration, stated.Duration)
	state(&a.Status, stated.Status)
	state(&a.Passthrough, stated.Passthrough)
	state(&a.CreatedAt, stated.CreatedAt)
	if stated.Meta != nil {
		a.Meta = stated.Meta
	}
}

// overStream states what the configuration says of a live stream.
func (o *overlay) overStream(l *playback.LiveStream) {
	if stated := o.streams[l.ID]; stated != nil {
		state(&l.Status, stated.Status)
	}
}
