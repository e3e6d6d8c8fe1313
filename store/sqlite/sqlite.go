package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/sqldb"
)

// maxReaders bounds the connections that read.
const maxReaders = 8

// Open opens the file, creates it if it is not there, and brings its schema up
// to date.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := create(path); err != nil {
		return nil, fmt.Errorf("opening the SQLite file: %w", err)
	}
	s := &Store{}
	var err error
	if s.files, err = newFiles(path); err != nil {
		return nil, fmt.Errorf("opening the SQLite file: %w", err)
	}
	readers := max(2, min(maxReaders, runtime.GOMAXPROCS(0)))
	write := s.connect(path, 1, url.Values{"_txlock": {"immediate"}})
	read := s.connect(path, 1+readers, url.Values{"_pragma": {"query_only(1)"}})
	s.DB = sqldb.New(read, write, sqldb.Dialect{Writable: s.files.check})
	if err := s.prepare(ctx, read, write); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), s.Close())
	}
	return s, nil
}

// Check reports whether Open would refuse the schema of a file. One that is not
// there is good.
func Check(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return nil //nolint:nilerr // Open makes it
	}
	source := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{"_pragma": {"busy_timeout(1000)", "query_only(1)"}}.Encode()}
	db := sql.OpenDB(&connector{source: source.String()})
	err := sqldb.Check(ctx, db)
	return errors.Join(err, db.Close())
}

// Store is a store.Store in a SQLite file.
type Store struct {
	*sqldb.DB

	files *files
	held  *sql.Conn // nil until the schema is up to date
}

// prepare migrates. It keeps a connection until Close: with its last connection
// SQLite removes the log beside the file, and makes another one with the next.
func (s *Store) prepare(ctx context.Context, read, write *sql.DB) (err error) {
	if err := migrate(ctx, write); err != nil {
		return err
	}
	if s.held, err = read.Conn(ctx); err != nil {
		return err
	}
	if err := s.Ping(ctx); err != nil { // has the log made
		return err
	}
	if err := s.files.addLog(); err != nil {
		return err
	}
	return openAll(ctx, read)
}

// openAll opens all connections that a pool may have, and keeps them: those that
// are open can still read when the file is gone.
func openAll(ctx context.Context, db *sql.DB) error {
	var conns []*sql.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close() // back to the pool
		}
	}()
	stats := db.Stats()
	for range stats.MaxOpenConnections - stats.InUse {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		conns = append(conns, conn)
	}
	return nil
}

// Close closes the file.
func (s *Store) Close() error {
	var err error
	if s.held != nil {
		err = s.held.Close()
	}
	return errors.Join(err, s.DB.Close())
}

// migrate tries again where another process, which opens the file at the same
// moment, was faster; what it did is not done again.
func migrate(ctx context.Context, db *sql.DB) (err error) {
	for range 5 {
		if err = sqldb.Migrate(ctx, goose.DialectSQLite3, db); err == nil || errors.Is(err, store.ErrSchema) {
			return err
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

func (s *Store) connect(path string, connections int, more url.Values) *sql.DB {
	options := url.Values{"_pragma": {"busy_timeout(15000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}}
	for name, values := range more {
		options[name] = append(options[name], values...)
	}
	source := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: options.Encode()}
	db := sql.OpenDB(&connector{source: source.String(), files: s.files})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

// connector opens connections to the file that the store was opened with, and to
// none that stands in its place.
type connector struct {
	source string
	driver sqlite.Driver
	files  *files // nil: whatever file there is
}

// Connect opens a connection. SQLite would make a log anew that was removed: it is
// not asked then.
func (c *connector) Connect(context.Context) (driver.Conn, error) {
	if c.files == nil {
		return c.driver.Open(c.source)
	}
	if err := c.files.check(); err != nil {
		return nil, err
	}
	conn, err := c.driver.Open(c.source)
	if err != nil {
		return nil, fmt.Errorf("opening the SQLite file: %w", err)
	}
	if err := c.files.check(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Driver returns SQLite's.
func (c *connector) Driver() driver.Driver { return &c.driver }
