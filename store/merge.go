package store

import (
	"bytes"
	"slices"

	"github.com/playgate/playgate/playback"
)

// Merge says what becomes of an object beside the one that is there (nil: none).
// A deleted object stays deleted, and deletion beats everything; else the newer
// one counts, and of two that are equally old the one whose data is larger: the
// outcome does not depend on the order.
//
// gone are the playback IDs that one of the two has and the one that counts has
// not: they were given out, so nothing may take them for unknown.
func Merge(have, next *Object) (counts bool, gone []playback.ID) {
	if have == nil {
		return true, nil
	}
	winner, loser := have, next
	if supersedes(next, have) {
		winner, loser = next, have
	}
	for _, id := range loser.PlaybackIDs {
		if !slices.Contains(winner.PlaybackIDs, id) {
			gone = append(gone, id)
		}
	}
	return winner == next, gone
}

func supersedes(next, have *Object) bool {
	switch {
	case have.Deleted:
		return false
	case next.Deleted, next.Version > have.Version:
		return true
	case next.Version < have.Version:
		return false
	}
	if c := bytes.Compare(next.Data, have.Data); c != 0 {
		return c > 0
	}
	return slices.Compare(next.PlaybackIDs, have.PlaybackIDs) > 0
}
