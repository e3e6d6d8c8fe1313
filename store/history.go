package store

import (
	"context"
	"errors"
)

// ErrSchema says that the schema of a store is not the one that this program
// needs, and that waiting does not help.
var ErrSchema = errors.New("the store's schema does not fit")

// ErrNotWritable says that what would be written now would be lost, or is refused.
// What can be read is as good as before.
var ErrNotWritable = errors.New("the store cannot be written")

// Checkpoint names a state of the store: everything that was written before. Two
// stores that have the same one have the same history up to it. The zero value is
// that of an empty store.
type Checkpoint struct {
	Seq   int64 // the last Object.Seq of the state
	Stamp int64 // drawn at random
}

// Continuity is what became of a state that was seen.
type Continuity int

const (
	// Continued says that what was there is still there.
	Continued Continuity = iota
	// Rewound says that it is not: the store went back to an earlier state, or is another
	// one.
	Rewound
	// Forgotten says that the state is too long ago for the store to know.
	Forgotten
)

// History tells whether the store still has what it had. A database that was
// restored from a backup, or that failed over to a server that was behind, counts
// Object.Seq on from an earlier one, so that Seq alone does not tell.
type History interface {
	// Compare returns the newest checkpoint, and what became of one that was seen;
	// the zero Checkpoint is part of every history. All objects up to the newest
	// checkpoint's Seq can be read, and have no larger Seq than that.
	Compare(ctx context.Context, seen Checkpoint) (latest Checkpoint, became Continuity, err error)
	// Mark makes a checkpoint if something was written, through this handle or by a
	// version that made none, that is not part of one. Objects are part of one as
	// soon as they can be read.
	Mark(ctx context.Context) error
	// TrimHistory forgets checkpoints that are long ago.
	TrimHistory(ctx context.Context) error
}
