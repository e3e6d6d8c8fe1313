package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver

	"github.com/playgate/playgate/store/sqldb"
)

// maxReaders bounds the connections that read.
const maxReaders = 8

// Open opens the file, creates it if it is not there, and brings its schema up
// to date.
func Open(ctx context.Context, path string) (*sqldb.DB, error) {
	if err := create(path); err != nil {
		return nil, fmt.Errorf("opening the SQLite file: %w", err)
	}
	write, err := connect(path, 1, url.Values{"_txlock": {"immediate"}})
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, write); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), write.Close())
	}
	read, err := connect(path, max(2, min(maxReaders, runtime.GOMAXPROCS(0))), url.Values{"_pragma": {"query_only(1)"}})
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	return sqldb.New(read, write, sqldb.Dialect{}), nil
}

// migrate tries again where another process, which opens the file at the same
// moment, was faster; what it did is not done again.
func migrate(ctx context.Context, db *sql.DB) (err error) {
	for range 5 {
		if err = sqldb.Migrate(ctx, goose.DialectSQLite3, db); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}

// create makes the file before SQLite does, which would let everybody read it.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator's own path
	if err != nil {
		return err
	}
	return f.Close()
}

func connect(path string, connections int, more url.Values) (*sql.DB, error) {
	options := url.Values{"_pragma": {"busy_timeout(15000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}}
	for name, values := range more {
		options[name] = append(options[name], values...)
	}
	source := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, fmt.Errorf("opening the SQLite file: %w", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
