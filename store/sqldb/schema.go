package sqldb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/playgate/playgate/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// countClock counts the rows of the clock, and returns how far it and what goes by
// it have come.
const countClock = `
	SELECT COUNT(*), COALESCE(MAX(seq), 0), COALESCE((SELECT MAX(seq) FROM catalogue_objects), 0), COALESCE((SELECT MAX(seq) FROM store_checkpoints), -1)
	FROM catalogue_clock`

// table is what the statements need of a table.
type table struct {
	columns []string
	key     []string // of its primary key; nil: none
}

// tables returns what the statements need.
func tables() map[string]table {
	return map[string]table{
		"catalogue_objects": {strings.Fields("environment kind id version deleted seq playback_ids data"), strings.Fields("environment kind id")},
		"catalogue_clock":   {[]string{"seq"}, nil},
		"catalogue_syncs":   {strings.Fields("environment done_at claimed_until"), []string{"environment"}},
		"webhook_events":    {strings.Fields("environment id taken_at"), strings.Fields("environment id")},
		"grants": {
			strings.Fields("environment id issuer viewer type scope_kind scope_id starts ends play_within first_play attributes created_at updated_at revision"),
			strings.Fields("environment id"),
		},
		"key_ledger":        {strings.Fields("environment key_id exp"), strings.Fields("environment key_id")},
		"paces":             {strings.Fields("name next_at"), []string{"name"}},
		"outbox":            {strings.Fields("environment kind job_key version payload revision attempts due_at owner added_at"), strings.Fields("environment kind job_key")},
		"store_checkpoints": {strings.Fields("seq stamp"), []string{"seq"}},
	}
}

// Migrate brings the schema up to date, and checks that it is whole. An error that
// is store.ErrSchema says what an operator must do.
func Migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, options ...goose.ProviderOption) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	options = append(options, goose.WithDisableGlobalRegistry(true))
	provider, err := goose.NewProvider(dialect, db, files, options...)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	version, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("reading the version of the store's schema: %w", err)
	}
	newest, err := newestVersion()
	if err != nil {
		return err
	}
	if err := checkVersion(version, newest); err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		if _, partial := errors.AsType[*goose.PartialError](err); partial && ctx.Err() == nil {
			return fmt.Errorf("migrating the store from schema version %d: %w", version, err)
		}
		return fmt.Errorf("migrating the store: %w", err)
	}
	return checkTables(ctx, db)
}

func checkVersion(has, known int64) error {
	if has <= known {
		return nil
	}
	return fmt.Errorf("%w: it has version %d, and this playgate knows versions up to %d: start the version of playgate that wrote it, "+
		"or restore a backup from before that one was started", store.ErrSchema, has, known)
}

// checkTables reports everything that the tables lack, as after a restore that
// ended early or left out a table's data.
func checkTables(ctx context.Context, db *sql.DB) error {
	all := tables()
	var lacks []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		missing, err := lacking(ctx, db, name, all[name])
		if err != nil {
			return err
		}
		if missing != "" {
			lacks = append(lacks, missing)
		}
	}
	if len(lacks) == 0 {
		contradictions, err := checkRows(ctx, db)
		if err != nil {
			return err
		}
		lacks = contradictions
	}
	if len(lacks) == 0 {
		return nil
	}
	if err := db.PingContext(ctx); err != nil { // then that is why
		return fmt.Errorf("checking the store's schema: %w", err)
	}
	return fmt.Errorf("%w: %s: restore a whole backup, or begin with an empty store, which has no grants",
		store.ErrSchema, strings.Join(lacks, "; "))
}

// lacking says what a table lacks, "" for nothing.
func lacking(ctx context.Context, db *sql.DB, name string, want table) (string, error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+name+" WHERE 1 = 0") //nolint:gosec // a name of ours
	if err != nil {
		if ctx.Err() != nil {
			return "", err
		}
		return fmt.Sprintf("table %s cannot be read: %v", name, err), nil
	}
	has, err := rows.Columns()
	if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return "", fmt.Errorf("reading the columns of table %s: %w", name, err)
	}
	missing := slices.DeleteFunc(slices.Clone(want.columns), func(column string) bool { return slices.Contains(has, column) })
	switch {
	case len(missing) > 0:
		return fmt.Sprintf("table %s lacks %s", name, strings.Join(missing, ", ")), nil
	case want.key == nil:
		return "", nil
	}
	return lackingKey(ctx, db, name, want.key), ctx.Err()
}

// checkRows reports rows without which nothing can be written, or read.
func checkRows(ctx context.Context, db *sql.DB) (problems []string, err error) {
	var rows, clock, objects, checkpoints int64
	if err := db.QueryRowContext(ctx, countClock).Scan(&rows, &clock, &objects, &checkpoints); err != nil {
		return nil, fmt.Errorf("checking the store's rows: %w", err)
	}
	if rows != 1 {
		return []string{fmt.Sprintf("table catalogue_clock has %d rows instead of 1", rows)}, nil
	}
	if clock < objects || clock < checkpoints {
		problems = append(problems, fmt.Sprintf("catalogue_clock.seq is %d, but catalogue_objects.seq goes up to %d and store_checkpoints.seq to %d", clock, objects, checkpoints))
	}
	if checkpoints < 0 {
		problems = append(problems, "table store_checkpoints has no row")
	}
	return problems, nil
}

// lackingKey plans, and does not run, a statement that needs the primary key: the
// two databases tell in different ways what keys a table has.
func lackingKey(ctx context.Context, db *sql.DB, name string, key []string) string {
	columns := strings.Join(key, ", ")
	nothing := strings.TrimSuffix(strings.Repeat("NULL, ", len(key)), ", ")
	plan := fmt.Sprintf("EXPLAIN INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (%s) DO NOTHING", name, columns, nothing, columns) //nolint:gosec // names of ours
	rows, err := db.QueryContext(ctx, plan)
	if err != nil {
		return fmt.Sprintf("table %s lacks the primary key (%s), or may not be written: %v", name, columns, err)
	}
	for rows.Next() { // what the database plans is of no interest
		continue
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Sprintf("table %s lacks the primary key (%s), or may not be written: %v", name, columns, err)
	}
	return ""
}

// Check reports whether Migrate would refuse the schema, and changes nothing. A
// schema that is older is good, and so is none.
func Check(ctx context.Context, db *sql.DB) error {
	var version int64
	if err := db.QueryRowContext(ctx, getVersion).Scan(&version); err != nil {
		if err := db.PingContext(ctx); err != nil {
			return fmt.Errorf("reading the version of the store's schema: %w", err)
		}
		return nil // there is no schema yet
	}
	newest, err := newestVersion()
	if err != nil || version < newest {
		return err
	}
	if err := checkVersion(version, newest); err != nil {
		return err
	}
	return checkTables(ctx, db)
}

const getVersion = `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied`

// newestVersion returns the version of the schema that this program knows.
func newestVersion() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, fmt.Errorf("reading the migrations: %w", err)
	}
	return goose.NumericComponent(slices.Max(names))
}
