package keystore

import (
	"maps"
	"slices"
	"time"

	"github.com/playgate/playgate/playback"
)

// Snapshot is the keys of every environment at one moment. Immutable; the zero
// Snapshot has no environments.
type Snapshot struct {
	views map[playback.EnvironmentID]view
}

type view struct {
	keys  Keyset
	tried bool
	read  time.Time
	// failing: the last reading was no success.
	failing bool
}

// NewSnapshot returns a snapshot in which every given environment was tried.
// The map is copied.
func NewSnapshot(sets map[playback.EnvironmentID]Keyset) Snapshot {
	views := make(map[playback.EnvironmentID]view, len(sets))
	for env, set := range sets {
		views[env] = view{keys: set, tried: true}
	}
	return Snapshot{views: views}
}

// Environments returns the environments of the snapshot, sorted.
func (s Snapshot) Environments() []playback.EnvironmentID {
	return slices.Sorted(maps.Keys(s.views))
}

// Keyset returns an environment's keys: the last good ones if its source fails
// now, none if it never answered or the environment is unknown.
func (s Snapshot) Keyset(env playback.EnvironmentID) Keyset { return s.views[env].keys }

// Tried reports whether reading the environment's keys was attempted at least
// once, whatever came of it.
func (s Snapshot) Tried(env playback.EnvironmentID) bool { return s.views[env].tried }

// LastRead returns when the environment's keys were last read with success,
// zero if never, and whether reading them has failed since.
func (s Snapshot) LastRead(env playback.EnvironmentID) (at time.Time, failing bool) {
	v := s.views[env] // asked on every request: one look-up
	return v.read, v.failing
}
