package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

const (
	insertEvent = `INSERT INTO webhook_events (environment, id, taken_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`

	// Whoever has the clock's row reads and writes objects; the others wait. What
	// is read later by seq was therefore committed later.
	takeClock = `UPDATE catalogue_clock SET seq = seq + 1 RETURNING seq`
	setClock  = `UPDATE catalogue_clock SET seq = $1`

	getObject = `SELECT version, deleted, playback_ids, data FROM catalogue_objects WHERE environment = $1 AND kind = $2 AND id = $3`
	putObject = `
		INSERT INTO catalogue_objects (environment, kind, id, version, deleted, seq, playback_ids, data)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (environment, kind, id) DO UPDATE
		SET version = excluded.version, deleted = excluded.deleted, seq = excluded.seq, playback_ids = excluded.playback_ids, data = excluded.data`
	putGone = `
		INSERT INTO catalogue_objects (environment, kind, id, version, deleted, seq, playback_ids)
		VALUES ($1, $2, $3, $4, 1, $5, '') ON CONFLICT DO NOTHING`

	selectChanges = `SELECT environment, kind, id, version, deleted, seq, playback_ids, data FROM catalogue_objects `
	changesOfAll  = selectChanges + `WHERE seq > $1 ORDER BY seq LIMIT 2000`
	changesOfOne  = selectChanges + `WHERE seq > $1 AND environment = $2 ORDER BY seq LIMIT 2000`

	forgetEvents = `DELETE FROM webhook_events WHERE taken_at < $1`

	claimSync = `
		INSERT INTO catalogue_syncs (environment, done_at, claimed_until) VALUES ($1, 0, $2)
		ON CONFLICT (environment) DO UPDATE SET claimed_until = excluded.claimed_until
		WHERE (catalogue_syncs.done_at < $3 OR catalogue_syncs.done_at > $5)
			AND (catalogue_syncs.claimed_until < $4 OR catalogue_syncs.claimed_until > $6)`
	extendSync = `UPDATE catalogue_syncs SET claimed_until = $2 WHERE environment = $1`
	endSync    = `
		UPDATE catalogue_syncs SET claimed_until = 0,
			done_at = CASE WHEN done_at < CAST($2 AS BIGINT) OR done_at > CAST($3 AS BIGINT) THEN CAST($2 AS BIGINT) ELSE done_at END
		WHERE environment = $1`
)

// errTaken ends the transaction of an event that was taken before.
var errTaken = errors.New("the event was taken before")

// Apply writes objects and notes their event; see store.Catalogue.
func (d *DB) Apply(ctx context.Context, event *store.Event, objects []store.Object, join store.Join) (applied []bool, fresh bool, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		if event != nil {
			if first, err := affects(tx.ExecContext(ctx, insertEvent, event.Environment, event.ID, micros(event.At))); err != nil {
				return fmt.Errorf("noting the event: %w", err)
			} else if !first {
				return errTaken
			}
			if err := d.addJobs(ctx, tx, event.Work); err != nil {
				return err
			}
		}
		applied, err = put(ctx, tx, objects, join)
		return err
	})
	if errors.Is(err, errTaken) {
		return make([]bool, len(objects)), false, nil
	}
	if err == nil && len(objects) == 0 { // else there is a checkpoint
		d.unmarked.Store(true)
	}
	return applied, err == nil, err
}

// writer writes objects while it has the clock.
type writer struct {
	tx       *sql.Tx
	join     store.Join
	seq      int64
	get, set *sql.Stmt
}

func put(ctx context.Context, tx *sql.Tx, objects []store.Object, join store.Join) ([]bool, error) {
	applied := make([]bool, len(objects))
	if len(objects) == 0 {
		return applied, nil
	}
	w := writer{tx: tx, join: join}
	if err := tx.QueryRowContext(ctx, takeClock).Scan(&w.seq); err != nil {
		return nil, fmt.Errorf("taking the clock: %w", err)
	}
	var err error
	if w.get, err = tx.PrepareContext(ctx, getObject); err != nil {
		return nil, err
	}
	defer func() { _ = w.get.Close() }()
	if w.set, err = tx.PrepareContext(ctx, putObject); err != nil {
		return nil, err
	}
	defer func() { _ = w.set.Close() }()
	for i := range objects {
		applied[i], err = w.write(ctx, &objects[i])
		if err != nil {
			return nil, fmt.Errorf("writing %s %s: %w", objects[i].Kind, objects[i].ID, err)
		}
	}
	if _, err := tx.ExecContext(ctx, setClock, w.seq); err != nil {
		return nil, err
	}
	return applied, addCheckpoint(ctx, tx, w.seq)
}

func (w *writer) write(ctx context.Context, o *store.Object) (bool, error) {
	have, err := w.have(ctx, o)
	if err != nil {
		return false, err
	}
	kept, gone := store.Merge(have, o, w.join)
	if kept != nil {
		w.seq++
		deleted := 0
		if kept.Deleted {
			deleted = 1
		}
		if _, err := w.set.ExecContext(ctx, kept.Environment, kept.Kind, kept.ID, kept.Version, deleted, w.seq, joined(kept.PlaybackIDs), kept.Data); err != nil {
			return false, err
		}
	}
	for _, id := range gone {
		w.seq++
		if _, err := w.tx.ExecContext(ctx, putGone, o.Environment, store.PlaybackID, id, o.Version, w.seq); err != nil {
			return false, err
		}
	}
	return kept != nil, nil
}

// have returns what is there of an object, nil for nothing.
func (w *writer) have(ctx context.Context, o *store.Object) (*store.Object, error) {
	have := store.Object{Environment: o.Environment, Kind: o.Kind, ID: o.ID}
	var deleted int64
	var ids string
	err := w.get.QueryRowContext(ctx, o.Environment, o.Kind, o.ID).Scan(&have.Version, &deleted, &ids, &have.Data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // Merge has nil for none
	}
	have.Deleted, have.PlaybackIDs = deleted != 0, split(ids)
	return &have, err
}

func joined(ids []playback.ID) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(id))
	}
	return b.String()
}

func split(text string) []playback.ID {
	if text == "" {
		return nil
	}
	ids := make([]playback.ID, 0, 1+strings.Count(text, " "))
	for id := range strings.SplitSeq(text, " ") {
		ids = append(ids, playback.ID(id))
	}
	return ids
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
		var ids string
		if err := rows.Scan(&o.Environment, &o.Kind, &o.ID, &o.Version, &deleted, &o.Seq, &ids, &o.Data); err != nil {
			return 0, err
		}
		o.Deleted, o.PlaybackIDs, after = deleted != 0, split(ids), o.Seq
		if err := yield(&o); err != nil {
			return 0, err
		}
	}
	return after, rows.Err()
}

// ForgetEvents forgets old events.
func (d *DB) ForgetEvents(ctx context.Context, before time.Time) error {
	_, err := d.execute(ctx, forgetEvents, micros(before))
	return err
}

// ClaimSync claims the reading of everything; see store.Catalogue.
func (d *DB) ClaimSync(ctx context.Context, env playback.EnvironmentID, c store.SyncClaim) (bool, error) {
	return d.execute(ctx, claimSync, env, micros(c.Until), micros(c.Due), micros(c.Now),
		micros(c.Now.Add(store.ClockError)), micros(c.Until.Add(store.ClockError)))
}

// ExtendSync moves the end of a claim.
func (d *DB) ExtendSync(ctx context.Context, env playback.EnvironmentID, until time.Time) error {
	_, err := d.execute(ctx, extendSync, env, micros(until))
	return err
}

// EndSync ends a claim.
func (d *DB) EndSync(ctx context.Context, env playback.EnvironmentID, done time.Time) error {
	latest := int64(math.MaxInt64)
	if !done.IsZero() {
		latest = micros(done.Add(store.ClockError))
	}
	_, err := d.execute(ctx, endSync, env, micros(done), latest)
	return err
}
