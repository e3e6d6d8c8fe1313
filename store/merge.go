package store

import (
	"bytes"
	"slices"

	"github.com/playgate/playgate/playback"
)

// Join makes one object of two that were said of the same object at the same
// time, so that nobody knows which came later. It must be commutative,
// associative and idempotent: the outcome may depend neither on the order in
// which objects arrive nor on how often they do.
type Join func(a, b *Object) Object

// Merge returns what to keep of an object when next arrives beside the one that
// is there (nil: none). kept is nil if nothing changes. A deleted object stays
// deleted, and deletion beats everything; else the newer one counts, and two
// that are equally old are joined.
//
// gone are the playback IDs that one of the two has and the one that is kept has
// not: they were given out, so nothing may take them for unknown.
func Merge(have, next *Object, join Join) (kept *Object, gone []playback.ID) {
	if have == nil {
		return next, nil
	}
	kept = have
	switch {
	case have.Deleted:
	case next.Deleted, next.Version > have.Version:
		kept = next
	case next.Version == have.Version && !sameContent(have, next):
		joined := join(have, next)
		joined.Environment, joined.Kind, joined.ID, joined.Version = next.Environment, next.Kind, next.ID, next.Version
		kept = &joined
	}
	for _, o := range [...]*Object{have, next} {
		for _, id := range o.PlaybackIDs {
			if !slices.Contains(kept.PlaybackIDs, id) && !slices.Contains(gone, id) {
				gone = append(gone, id)
			}
		}
	}
	if kept == have || sameContent(kept, have) && kept.Version == have.Version && kept.Deleted == have.Deleted {
		kept = nil
	}
	return kept, gone
}

func sameContent(a, b *Object) bool {
	return bytes.Equal(a.Data, b.Data) && slices.Equal(a.PlaybackIDs, b.PlaybackIDs)
}
