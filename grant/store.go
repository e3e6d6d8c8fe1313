package grant

import (
	"context"
	"time"

	"github.com/playgate/playgate/playback"
)

// Store keeps grants. Times are whole seconds in UTC, zero where there is none;
// attributes come back with JSON's types. Every method works on one environment:
// two of them may have grants of the same ID.
type Store interface {
	// Put stores a grant in place of the one with its ID, and returns it as it
	// is stored. The first play of a grant that is there stays, whatever e says:
	// only deleting the grant forgets it. created: there was none.
	Put(ctx context.Context, e playback.Entitlement) (stored playback.Entitlement, created bool, err error)
	// Get returns a grant; ok is false if there is none.
	Get(ctx context.Context, env playback.EnvironmentID, id string) (e playback.Entitlement, ok bool, err error)
	// Delete reports whether there was a grant to delete.
	Delete(ctx context.Context, env playback.EnvironmentID, id string) (bool, error)
	// ByViewer returns all grants of a viewer in the order of their IDs, in force
	// or not.
	ByViewer(ctx context.Context, env playback.EnvironmentID, issuer, viewer string) ([]playback.Entitlement, error)
	// StartPlay notes the first play of a grant unless one is noted, atomically
	// for all replicas, and returns the one that is. ok is false if the grant is
	// gone.
	StartPlay(ctx context.Context, env playback.EnvironmentID, id string, at time.Time) (first time.Time, ok bool, err error)
}
