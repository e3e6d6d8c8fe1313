package keystore

import (
	"maps"
	"slices"

	"github.com/playgate/playgate/playback"
)

// Snapshot is the keys of several environments at one moment. Immutable; the zero
// Snapshot has no environments.
type Snapshot struct {
	sets map[playback.EnvironmentID]Keyset
}

// NewSnapshot returns a snapshot of the given environments. The map is copied.
func NewSnapshot(sets map[playback.EnvironmentID]Keyset) Snapshot {
	return Snapshot{sets: maps.Clone(sets)}
}

// Environments returns the environments of the snapshot, sorted.
func (s Snapshot) Environments() []playback.EnvironmentID {
	return slices.Sorted(maps.Keys(s.sets))
}

// Keyset returns an environment's keys, none if the environment is unknown.
func (s Snapshot) Keyset(env playback.EnvironmentID) Keyset { return s.sets[env] }
