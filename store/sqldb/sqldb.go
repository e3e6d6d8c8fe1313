package sqldb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/playgate/playgate/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is a store.Store in a relational database, but for Close's part that is
// the driver's.
type DB struct {
	read, write *sql.DB // the same one where the database lets many write
	dialect     Dialect
}

// Dialect is in what the databases differ.
type Dialect struct {
	// Clock is an expression for the database's own clock, Unix microseconds that
	// stay the same in a statement: for what replicas share whose clocks may
	// differ. "" goes by the caller's.
	Clock string
	// SkipLocked ends a SELECT whose rows are to be changed, and which passes over
	// those that others are changing; "": there is one writer at a time.
	SkipLocked string
	// LockText is a statement that lets one transaction at a time go on that gives
	// it the same text; "": there is one writer at a time.
	LockText string
}

var _ store.Store = (*DB)(nil)

// New returns a DB. Close closes both handles.
func New(read, write *sql.DB, dialect Dialect) *DB {
	return &DB{read: read, write: write, dialect: dialect}
}

// Migrate brings the schema up to date.
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
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating the store: %w", err)
	}
	return nil
}

// Ping asks whether the store answers: a statement that reads a table, because a
// driver may call a connection good that has nothing behind it.
func (d *DB) Ping(ctx context.Context) error {
	var seq int64
	if err := d.read.QueryRowContext(ctx, getClock).Scan(&seq); err != nil {
		return fmt.Errorf("asking the store whether it answers: %w", err)
	}
	return nil
}

// Close closes the database.
func (d *DB) Close() error {
	err := d.write.Close()
	if d.read != d.write {
		err = errors.Join(err, d.read.Close())
	}
	return err
}

// inTx runs do in a transaction, which is undone if it fails.
func (d *DB) inTx(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// micros is how versions and moments are kept; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// seconds is how the times of grants are kept: NULL for the zero time.
func seconds(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.Unix(), Valid: !t.IsZero()}
}

func moment(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.Unix(n.Int64, 0).UTC()
}
