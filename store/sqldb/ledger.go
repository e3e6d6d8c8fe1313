package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

const (
	raiseExpiry = `
		INSERT INTO key_ledger (environment, key_id, exp) VALUES ($1, $2, $3)
		ON CONFLICT (environment, key_id) DO UPDATE SET exp = excluded.exp WHERE key_ledger.exp < excluded.exp`
	getExpiry = `SELECT exp FROM key_ledger WHERE environment = $1 AND key_id = $2`

	// The turn that was free, or NOW if that is over or later than can be; the next
	// is one later. No row if the wait would be too long.
	takeTurn = `
		INSERT INTO paces (name, next_at) VALUES ($1, NOW + CAST($2 AS BIGINT))
		ON CONFLICT (name) DO UPDATE SET
			next_at = CASE WHEN paces.next_at > NOW AND paces.next_at <= NOW + LATEST THEN paces.next_at ELSE NOW END + CAST($2 AS BIGINT)
		WHERE paces.next_at <= NOW + CAST($3 AS BIGINT) OR paces.next_at > NOW + LATEST
		RETURNING next_at - NOW`
)

// RaiseExpiries writes later ends; see store.Ledger.
func (d *DB) RaiseExpiries(ctx context.Context, list []store.Expiry) error {
	defer d.unmarked.Store(true)
	return d.inTx(ctx, func(tx *sql.Tx) error {
		for _, e := range list {
			if _, err := tx.ExecContext(ctx, raiseExpiry, e.Environment, e.Key, e.Exp); err != nil {
				return fmt.Errorf("writing the key ledger: %w", err)
			}
		}
		return nil
	})
}

// Expiry returns the latest end of a key's tokens.
func (d *DB) Expiry(ctx context.Context, env playback.EnvironmentID, key playback.KeyID) (int64, error) {
	var exp int64
	err := d.read.QueryRowContext(ctx, getExpiry, env, key).Scan(&exp)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("reading the key ledger: %w", err)
	}
	return exp, nil
}

// Turn takes the next turn; see store.Paces.
func (d *DB) Turn(ctx context.Context, t store.Turn) (time.Duration, error) {
	statement, args := d.timed(takeTurn, t.Now, t.Name, t.Every.Microseconds(), t.Within.Microseconds())
	var next int64
	latest := strconv.FormatInt(store.ClockError.Microseconds(), 10)
	err := d.change(func() error {
		return d.write.QueryRowContext(ctx, strings.ReplaceAll(statement, "LATEST", latest), args...).Scan(&next)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, store.ErrNoTurn
	case err != nil:
		return 0, fmt.Errorf("taking a turn: %w", err)
	}
	return max(0, time.Duration(next)*time.Microsecond-t.Every), nil
}
