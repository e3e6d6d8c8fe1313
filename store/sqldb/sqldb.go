package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/store"
)

// DB is a store.Store in a relational database, but for Close's part that is
// the driver's.
type DB struct {
	read, write *sql.DB // the same one where the database lets many write
	dialect     Dialect
	unmarked    atomic.Bool // something was written since Mark; set after it was
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
	// Writable returns why nothing can be written now, ErrNotWritable; nil: the
	// database says so itself. It must be quick: it is asked before and after each
	// write.
	Writable func() error
}

var _ store.Store = (*DB)(nil)

// New returns a DB. Close closes both handles.
func New(read, write *sql.DB, dialect Dialect) *DB {
	return &DB{read: read, write: write, dialect: dialect}
}

// Ping asks whether the store answers, and can be written. It reads a table,
// because a driver may call a connection good that has nothing behind it.
func (d *DB) Ping(ctx context.Context) error {
	var latest store.Checkpoint
	if err := d.read.QueryRowContext(ctx, getLatest).Scan(&latest.Seq, &latest.Stamp); err != nil {
		return fmt.Errorf("asking the store whether it answers: %w", err)
	}
	return d.writable()
}

// Close closes the database.
func (d *DB) Close() error {
	err := d.write.Close()
	if d.read != d.write {
		err = errors.Join(err, d.read.Close())
	}
	return err
}

func (d *DB) writable() error {
	if d.dialect.Writable == nil {
		return nil
	}
	return d.dialect.Writable()
}

// change writes by do. It fails, too, where what was written is lost: a write
// that succeeds can be acknowledged.
func (d *DB) change(do func() error) error {
	if err := d.writable(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return d.writable()
}

// execute runs a statement that writes, and reports whether it changed a row.
func (d *DB) execute(ctx context.Context, statement string, args ...any) (changed bool, err error) {
	err = d.change(func() error {
		changed, err = affects(d.write.ExecContext(ctx, statement, args...))
		return err
	})
	return changed, err
}

// inTx runs do in a transaction, which is undone if it fails.
func (d *DB) inTx(ctx context.Context, do func(*sql.Tx) error) error {
	return d.change(func() error {
		tx, err := d.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := do(tx); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
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
