package catalog

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/playgate/playgate/playback"
)

// EntryError is something wrong with one entry. Paths start at
// "playback_ids[0]", as in the configuration.
type EntryError struct {
	Path    string
	Message string
}

// Error returns the path and what is wrong there.
func (e *EntryError) Error() string { return e.Path + ": " + e.Message }

// merger brings together what the entries say of each asset and live stream.
type merger struct {
	objects  map[playback.ID]*playback.Object
	first    map[playback.ID]int32 // the entry that listed each
	assets   map[playback.AssetID]*asset
	streams  map[playback.LiveStreamID]*liveStream
	problems []*EntryError
}

func newMerger(size int) *merger {
	return &merger{
		objects: make(map[playback.ID]*playback.Object, size),
		first:   make(map[playback.ID]int32, size),
		assets:  map[playback.AssetID]*asset{},
		streams: map[playback.LiveStreamID]*liveStream{},
	}
}

func (m *merger) add(i int32, member, format string, args ...any) {
	m.problems = append(m.problems, &EntryError{fmt.Sprintf("playback_ids[%d].%s", i, member), fmt.Sprintf(format, args...)})
}

// entry checks one entry and returns what it is.
func (m *merger) entry(i int32, e *Entry) *playback.Object {
	if !e.ID.Valid() {
		m.add(i, "id", "%.80q is not a playback ID: want 1 to 255 letters and digits", string(e.ID))
	}
	if first, taken := m.first[e.ID]; taken {
		m.add(i, "id", "%q is already playback_ids[%d].id", e.ID, first)
	} else {
		m.first[e.ID] = i
	}
	switch e.Policy {
	case playback.PolicyPublic, playback.PolicySigned, playback.PolicyDRM:
	default:
		m.add(i, "policy", "%.80q is not a policy: want public, signed or drm", string(e.Policy))
	}
	o := &playback.Object{ID: e.ID, Policy: e.Policy, Known: true, Memo: new(playback.Memo)}
	if e.Asset != nil {
		a := m.asset(i, e.Asset)
		o.Asset, a.objects = &a.Asset, append(a.objects, o)
	}
	if e.LiveStream != nil {
		s := m.liveStream(i, e.LiveStream)
		o.LiveStream, s.objects = &s.LiveStream, append(s.objects, o)
	}
	m.objects[o.ID] = o
	return o
}

func (m *merger) asset(i int32, given *Asset) *asset {
	if !given.ID.Valid() {
		m.add(i, "asset.id", "%.80q is not an asset ID: want 1 to 255 letters and digits", string(given.ID))
	}
	a, ok := m.assets[given.ID]
	if !ok {
		a = &asset{Asset: playback.Asset{ID: given.ID}, given: [assetFields]int32{-1, -1, -1, -1, -1}}
		m.assets[given.ID] = a
	}
	if d := given.Duration; d != nil && (*d < 0 || math.IsNaN(*d) || math.IsInf(*d, 0)) {
		m.add(i, "asset.duration", "want a number of seconds, 0 if unknown")
	}
	share(m, field{i, "asset.duration", &a.given[durationField]}, &a.Duration, given.Duration)
	share(m, field{i, "asset.status", &a.given[statusField]}, &a.Status, given.Status)
	share(m, field{i, "asset.passthrough", &a.given[passthroughField]}, &a.Passthrough, given.Passthrough)
	m.meta(i, a, given.Meta)
	m.createdAt(i, a, given.CreatedAt)
	return a
}

func (m *merger) meta(i int32, a *asset, given map[string]any) {
	if given == nil {
		return
	}
	f := field{i, "asset.meta", &a.given[metaField]}
	if *f.first < 0 {
		*f.first, a.Meta = i, given
	} else if !reflect.DeepEqual(a.Meta, given) {
		m.differs(f)
	}
}

func (m *merger) createdAt(i int32, a *asset, given *time.Time) {
	if given == nil {
		return
	}
	f := field{i, "asset.created_at", &a.given[createdAtField]}
	if *f.first < 0 {
		*f.first, a.CreatedAt = i, *given
	} else if !a.CreatedAt.Equal(*given) {
		m.differs(f)
	}
}

func (m *merger) liveStream(i int32, given *LiveStream) *liveStream {
	if !given.ID.Valid() {
		m.add(i, "live_stream.id", "%.80q is not a live stream ID: want 1 to 255 letters and digits", string(given.ID))
	}
	l, ok := m.streams[given.ID]
	if !ok {
		l = &liveStream{LiveStream: playback.LiveStream{ID: given.ID}, status: -1}
		m.streams[given.ID] = l
	}
	share(m, field{i, "live_stream.status", &l.status}, &l.Status, given.Status)
	return l
}

// field is one field of a shared thing, as entry i gives it.
type field struct {
	i     int32
	name  string
	first *int32 // the entry that gave it first
}

// share takes over a field that is given for the first time, and refuses one
// that was given differently.
func share[T comparable](m *merger, f field, have, given *T) {
	if given == nil {
		return
	}
	if *f.first < 0 {
		*f.first, *have = f.i, *given
	} else if *have != *given {
		m.differs(f)
	}
}

func (m *merger) differs(f field) {
	m.add(f.i, f.name, "is given differently by playback_ids[%d].%s, for the same ID", *f.first, f.name)
}
