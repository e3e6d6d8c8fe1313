package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

const (
	insertEvent = `INSERT INTO webhook_events (environment, id, taken_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`

	// Whoever has the clock's row writes; the others wait. What is read later by
	// seq was therefore committed later.
	takeSeqs = `UPDATE catalogue_clock SET seq = seq + $1 RETURNING seq`

	// A deleted object stays deleted, and deletion beats everything; else the
	// newer one counts, and of two that are equally old the one whose data is
	// larger, so that the order of arrival does not matter.
	putObject = `
		INSERT INTO catalogue_objects (environment, kind, id, version, deleted, seq, data)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (environment, kind, id) DO UPDATE
		SET version = excluded.version, deleted = excluded.deleted, seq = excluded.seq, data = excluded.data
		WHERE catalogue_objects.deleted = 0 AND (
			excluded.deleted = 1
			OR excluded.version > catalogue_objects.version
			OR (excluded.version = catalogue_objects.version AND excluded.data > catalogue_objects.data))`

	selectChanges = `SELECT environment, kind, id, version, deleted, seq, data FROM catalogue_objects `
	changesOfAll  = selectChanges + `WHERE seq > $1 ORDER BY seq LIMIT 2000`
	changesOfOne  = selectChanges + `WHERE seq > $1 AND environment = $2 ORDER BY seq LIMIT 2000`

	forgetEvents = `DELETE FROM webhook_events WHERE taken_at < $1`

	claimSync = `
		INSERT INTO catalogue_syncs (environment, done_at, claimed_until) VALUES ($1, 0, $2)
		ON CONFLICT (environment) DO UPDATE SET claimed_until = excluded.claimed_until
		WHERE catalogue_syncs.done_at < $3 AND catalogue_syncs.claimed_until < $4`
	extendSync = `UPDATE catalogue_syncs SET claimed_until = $2 WHERE environment = $1`
	endSync    = `UPDATE catalogue_syncs SET claimed_until = 0, done_at = CASE WHEN done_at < $2 THEN $2 ELSE done_at END WHERE environment = $1`
)

// errTaken ends the transaction of an event that was taken before.
var errTaken = errors.New("the event was taken before")

// Apply writes objects and notes their event; see store.Catalogue.
func (d *DB) Apply(ctx context.Context, event *store.Event, objects []store.Object) (applied []bool, fresh bool, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		if event != nil {
			if first, err := affects(tx.ExecContext(ctx, insertEvent, event.Environment, event.ID, micros(event.At))); err != nil {
				return fmt.Errorf("noting the event: %w", err)
			} else if !first {
				return errTaken
			}
		}
		applied, err = put(ctx, tx, objects)
		return err
	})
	if errors.Is(err, errTaken) {
		return make([]bool, len(objects)), false, nil
	}
	return applied, err == nil, err
}

func put(ctx context.Context, tx *sql.Tx, objects []store.Object) ([]bool, error) {
	applied := make([]bool, len(objects))
	if len(objects) == 0 {
		return applied, nil
	}
	var last int64
	if err := tx.QueryRowContext(ctx, takeSeqs, len(objects)).Scan(&last); err != nil {
		return nil, fmt.Errorf("taking the next numbers: %w", err)
	}
	statement, err := tx.PrepareContext(ctx, putObject)
	if err != nil {
		return nil, fmt.Errorf("writing objects: %w", err)
	}
	defer func() { _ = statement.Close() }()
	for i := range objects {
		o := &objects[i]
		o.Seq = last - int64(len(objects)-1-i)
		deleted := 0
		if o.Deleted {
			deleted = 1
		}
		applied[i], err = affects(statement.ExecContext(ctx, o.Environment, o.Kind, o.ID, o.Version, deleted, o.Seq, o.Data))
		if err != nil {
			return nil, fmt.Errorf("writing %s %s: %w", o.Kind, o.ID, err)
		}
	}
	return applied, nil
}

// affects reports whether a statement changed a row.
func affects(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// Changes calls yield with what changed; see store.Catalogue. It reads page by
// page, so that no statement runs for long.
func (d *DB) Changes(ctx context.Context, env playback.EnvironmentID, after int64, yield func(*store.Object) error) error {
	for {
		last, err := d.page(ctx, env, after, yield)
		if err != nil {
			return fmt.Errorf("reading the catalogue: %w", err)
		}
		if last == after {
			return nil
		}
		after = last
	}
}

// page yields the changes of one page and returns the last Seq.
func (d *DB) page(ctx context.Context, env playback.EnvironmentID, after int64, yield func(*store.Object) error) (int64, error) {
	query, args := changesOfAll, []any{after}
	if env != "" {
		query, args = changesOfOne, []any{after, env}
	}
	rows, err := d.read.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var o store.Object
		var deleted int64
		if err := rows.Scan(&o.Environment, &o.Kind, &o.ID, &o.Version, &deleted, &o.Seq, &o.Data); err != nil {
			return 0, err
		}
		o.Deleted, after = deleted != 0, o.Seq
		if err := yield(&o); err != nil {
			return 0, err
		}
	}
	return after, rows.Err()
}

// ForgetEvents forgets old events.
func (d *DB) ForgetEvents(ctx context.Context, before time.Time) error {
	_, err := d.write.ExecContext(ctx, forgetEvents, micros(before))
	return err
}

// ClaimSync claims the reading of everything; see store.Catalogue.
func (d *DB) ClaimSync(ctx context.Context, env playback.EnvironmentID, c store.SyncClaim) (bool, error) {
	return affects(d.write.ExecContext(ctx, claimSync, env, micros(c.Until), micros(c.Due), micros(c.Now)))
}

// ExtendSync moves the end of a claim.
func (d *DB) ExtendSync(ctx context.Context, env playback.EnvironmentID, until time.Time) error {
	_, err := d.write.ExecContext(ctx, extendSync, env, micros(until))
	return err
}

// EndSync ends a claim.
func (d *DB) EndSync(ctx context.Context, env playback.EnvironmentID, done time.Time) error {
	_, err := d.write.ExecContext(ctx, endSync, env, micros(done))
	return err
}
