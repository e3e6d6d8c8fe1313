package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

const (
	putGrant = `
		INSERT INTO grants (environment, id, issuer, viewer, type, scope_kind, scope_id, starts, ends, play_within, attributes, created_at, updated_at, revision)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1)
		ON CONFLICT (environment, id) DO UPDATE SET
			type = excluded.type, scope_kind = excluded.scope_kind, scope_id = excluded.scope_id,
			starts = excluded.starts, ends = excluded.ends, play_within = excluded.play_within,
			attributes = excluded.attributes, updated_at = excluded.updated_at, revision = grants.revision + 1
		WHERE grants.issuer = excluded.issuer AND grants.viewer = excluded.viewer
		RETURNING first_play, created_at, revision`

	grantColumns = `environment, id, issuer, viewer, type, scope_kind, scope_id, starts, ends, play_within, first_play, attributes, created_at, updated_at`
	getGrant     = `SELECT ` + grantColumns + ` FROM grants WHERE environment = $1 AND id = $2`
	grantsOf     = `SELECT ` + grantColumns + ` FROM grants WHERE environment = $1 AND issuer = $2 AND viewer = $3`
	grantsFor    = grantsOf + ` AND (scope_kind, scope_id) IN (VALUES `
	countGrants  = `SELECT COUNT(*) FROM grants WHERE environment = $1 AND issuer = $2 AND viewer = $3`
	grantIssuers = `SELECT DISTINCT issuer FROM grants WHERE environment = $1 AND viewer = $2`
	deleteGrant  = `DELETE FROM grants WHERE environment = $1 AND id = $2`

	// Who comes second waits for the first and then sees its time.
	startPlay = `UPDATE grants SET first_play = COALESCE(first_play, $3) WHERE environment = $1 AND id = $2 RETURNING first_play`
)

// PutGrant writes a grant; see store.Grants. Who writes grants of one viewer at
// once waits for the other, so that what is counted is what there is.
func (d *DB) PutGrant(ctx context.Context, g *store.Grant, limit int) (kept store.Grant, created bool, err error) {
	defer d.unmarked.Store(true)
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		if d.dialect.LockText != "" {
			if _, err := tx.ExecContext(ctx, d.dialect.LockText, fmt.Sprintf("grants %q %q %q", g.Environment, g.Issuer, g.Viewer)); err != nil {
				return fmt.Errorf("locking the viewer's grants: %w", err)
			}
		}
		if kept, created, err = putGrantIn(ctx, tx, g); err != nil || !created {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, countGrants, g.Environment, g.Issuer, g.Viewer).Scan(&n); err != nil {
			return fmt.Errorf("counting the viewer's grants: %w", err)
		}
		if n > limit {
			return store.ErrTooManyGrants
		}
		return nil
	})
	if err != nil {
		return store.Grant{}, false, err
	}
	return kept, created, nil
}

func putGrantIn(ctx context.Context, tx *sql.Tx, g *store.Grant) (kept store.Grant, created bool, err error) {
	var first, began sql.NullInt64
	var revision int64
	row := tx.QueryRowContext(ctx, putGrant, g.Environment, g.ID, g.Issuer, g.Viewer, g.Type, g.ScopeKind, g.ScopeID,
		seconds(g.From), seconds(g.Until), int64(g.PlayWithin/time.Second), g.Attributes, g.CreatedAt.Unix(), g.UpdatedAt.Unix())
	err = row.Scan(&first, &began, &revision)
	switch {
	case errors.Is(err, sql.ErrNoRows): // neither inserted nor updated
		return store.Grant{}, false, store.ErrOtherViewer
	case err != nil:
		return store.Grant{}, false, fmt.Errorf("writing the grant: %w", err)
	}
	kept = *g
	kept.From, kept.Until, kept.UpdatedAt = moment(seconds(g.From)), moment(seconds(g.Until)), moment(seconds(g.UpdatedAt))
	kept.FirstPlay, kept.CreatedAt = moment(first), moment(began)
	return kept, revision == 1, nil
}

// scanner is a row that is read.
type scanner interface{ Scan(into ...any) error }

func scanGrant(row scanner) (store.Grant, error) {
	var g store.Grant
	var from, until, first, created, updated sql.NullInt64
	var within int64
	err := row.Scan(&g.Environment, &g.ID, &g.Issuer, &g.Viewer, &g.Type, &g.ScopeKind, &g.ScopeID,
		&from, &until, &within, &first, &g.Attributes, &created, &updated)
	g.From, g.Until, g.FirstPlay, g.CreatedAt, g.UpdatedAt = moment(from), moment(until), moment(first), moment(created), moment(updated)
	g.PlayWithin = time.Duration(within) * time.Second
	return g, err
}

// Grant returns a grant.
func (d *DB) Grant(ctx context.Context, env playback.EnvironmentID, id string) (store.Grant, error) {
	g, err := scanGrant(d.read.QueryRowContext(ctx, getGrant, env, id))
	return g, missing(err, "reading the grant")
}

// missing words an error; that of a row that is not there is ErrNotFound.
func missing(err error, op string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	}
	return fmt.Errorf("%s: %w", op, err)
}

// DeleteGrant removes a grant.
func (d *DB) DeleteGrant(ctx context.Context, env playback.EnvironmentID, id string) error {
	defer d.unmarked.Store(true)
	found, err := d.execute(ctx, deleteGrant, env, id)
	if err == nil && !found {
		return store.ErrNotFound
	}
	return err
}

// GrantsOf returns a viewer's grants. They are sorted here: databases order texts
// by their language.
func (d *DB) GrantsOf(ctx context.Context, env playback.EnvironmentID, issuer, viewer string) ([]store.Grant, error) {
	return d.grants(ctx, grantsOf, env, issuer, viewer)
}

// GrantsFor returns a viewer's grants of some scopes.
func (d *DB) GrantsFor(ctx context.Context, h store.GrantHolder, scopes []store.GrantScope) ([]store.Grant, error) {
	if len(scopes) == 0 {
		return nil, nil
	}
	query, args := strings.Builder{}, []any{h.Environment, h.Issuer, h.Viewer}
	query.WriteString(grantsFor)
	for i, scope := range scopes {
		if i > 0 {
			query.WriteByte(',')
		}
		fmt.Fprintf(&query, "($%d, $%d)", len(args)+1, len(args)+2)
		args = append(args, scope.Kind, scope.ID)
	}
	query.WriteByte(')')
	return d.grants(ctx, query.String(), args...)
}

func (d *DB) grants(ctx context.Context, query string, args ...any) ([]store.Grant, error) {
	rows, err := d.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the viewer's grants: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []store.Grant
	for rows.Next() {
		g, err := scanGrant(rows)
		if err != nil {
			return nil, fmt.Errorf("reading the viewer's grants: %w", err)
		}
		out = append(out, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the viewer's grants: %w", err)
	}
	slices.SortFunc(out, func(a, b store.Grant) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// GrantIssuers returns under which issuers a viewer has grants; see GrantsOf.
func (d *DB) GrantIssuers(ctx context.Context, env playback.EnvironmentID, viewer string) ([]string, error) {
	rows, err := d.read.QueryContext(ctx, grantIssuers, env, viewer)
	if err != nil {
		return nil, fmt.Errorf("reading the issuers of the viewer's grants: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var issuers []string
	for rows.Next() {
		var issuer string
		if err := rows.Scan(&issuer); err != nil {
			return nil, fmt.Errorf("reading the issuers of the viewer's grants: %w", err)
		}
		issuers = append(issuers, issuer)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the issuers of the viewer's grants: %w", err)
	}
	slices.Sort(issuers)
	return issuers, nil
}

// StartPlay notes the first play; see store.Grants.
func (d *DB) StartPlay(ctx context.Context, env playback.EnvironmentID, id string, at time.Time) (time.Time, error) {
	defer d.unmarked.Store(true)
	var first sql.NullInt64
	err := d.change(func() error { return d.write.QueryRowContext(ctx, startPlay, env, id, at.Unix()).Scan(&first) })
	return moment(first), missing(err, "noting the first play")
}
