package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/playgate/playgate/store"
)

const (
	getLatest = `SELECT seq, stamp FROM store_checkpoints ORDER BY seq DESC LIMIT 1`
	// One statement: a restore between two would not be seen.
	compareHistory = `
		SELECT seq, stamp, (SELECT stamp FROM store_checkpoints WHERE seq = $1), (SELECT MIN(seq) FROM store_checkpoints)
		FROM store_checkpoints ORDER BY seq DESC LIMIT 1`
	insertCheckpoint = `INSERT INTO store_checkpoints (seq, stamp) VALUES ($1, $2)`
	trimHistory      = `DELETE FROM store_checkpoints WHERE seq < (SELECT MAX(seq) FROM store_checkpoints) - $1`

	// A version of playgate that makes no checkpoints leaves the clock ahead of them.
	countUnmarked = `SELECT COUNT(*) FROM catalogue_clock WHERE seq > (SELECT MAX(seq) FROM store_checkpoints)`

	// historyKept is how far back checkpoints are kept, in Object.Seq.
	historyKept = 200_000
)

// Compare returns the newest checkpoint, and what became of one that was seen; see
// store.History.
func (d *DB) Compare(ctx context.Context, seen store.Checkpoint) (latest store.Checkpoint, became store.Continuity, err error) {
	var stamp sql.NullInt64
	var oldest int64
	err = d.read.QueryRowContext(ctx, compareHistory, seen.Seq).Scan(&latest.Seq, &latest.Stamp, &stamp, &oldest)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return latest, became, fmt.Errorf("reading the store's history: %w: there is no checkpoint", store.ErrSchema)
	case err != nil:
		return latest, became, fmt.Errorf("reading the store's history: %w", err)
	case seen == store.Checkpoint{} || stamp.Valid && stamp.Int64 == seen.Stamp:
		return latest, store.Continued, nil
	case seen.Seq < oldest:
		return latest, store.Forgotten, nil
	}
	return latest, store.Rewound, nil
}

// Mark makes a checkpoint of what is not part of one; see store.History.
func (d *DB) Mark(ctx context.Context) error {
	needed := d.unmarked.Swap(false)
	if !needed {
		var behind int
		if err := d.read.QueryRowContext(ctx, countUnmarked).Scan(&behind); err != nil {
			return fmt.Errorf("reading the store's history: %w", err)
		}
		if behind == 0 {
			return nil
		}
	}
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		var seq int64
		if err := tx.QueryRowContext(ctx, takeClock).Scan(&seq); err != nil {
			return err
		}
		return addCheckpoint(ctx, tx, seq)
	})
	if err != nil {
		d.unmarked.Store(true)
		return fmt.Errorf("making a checkpoint of the store: %w", err)
	}
	return nil
}

// addCheckpoint makes a checkpoint in a transaction that has the clock.
func addCheckpoint(ctx context.Context, tx *sql.Tx, seq int64) error {
	stamp := rand.Int64() //nolint:gosec // need not be hard to guess, only different in each history
	if _, err := tx.ExecContext(ctx, insertCheckpoint, seq, stamp); err != nil {
		return fmt.Errorf("making a checkpoint: %w", err)
	}
	return nil
}

// TrimHistory forgets old checkpoints; see store.History.
func (d *DB) TrimHistory(ctx context.Context) error {
	_, err := d.execute(ctx, trimHistory, historyKept)
	return err
}
