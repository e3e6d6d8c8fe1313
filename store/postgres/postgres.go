package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/sqldb"
)

const (
	connectTimeout   = 2 * time.Second
	statementTimeout = "5000" // milliseconds
	maxConnections   = 16
	maxLifetime      = 30 * time.Minute

	clock      = "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)"
	skipLocked = "FOR UPDATE SKIP LOCKED"
	// lockText is released at the end of the transaction. Texts with the same hash
	// wait for each other, too.
	lockText = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
	// getReadOnly is true on a standby, too.
	getReadOnly = "SELECT current_setting('transaction_read_only') = 'on'"
)

// Open connects to the database of the DSN (a URL or "key=value …", as libpq
// has them) and brings its schema up to date.
func Open(ctx context.Context, dsn string) (*Store, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading the DSN: %w", err) // pgx redacts the password
	}
	own := config.ConnConfig
	if own.ConnectTimeout == 0 {
		own.ConnectTimeout = connectTimeout
	}
	for name, value := range map[string]string{"application_name": "playgate", "statement_timeout": statementTimeout} {
		if _, given := own.RuntimeParams[name]; !given {
			own.RuntimeParams[name] = value
		}
	}
	config.MaxConns = max(config.MaxConns, maxConnections)
	config.MaxConnLifetime = maxLifetime
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	if err := migrate(ctx, db); err != nil {
		pool.Close()
		return nil, errors.Join(err, db.Close())
	}
	return &Store{sqldb.New(db, db, sqldb.Dialect{Clock: clock, SkipLocked: skipLocked, LockText: lockText}), pool}, nil
}

// Check reports whether Open would refuse the schema of a database.
func Check(ctx context.Context, dsn string) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("reading the DSN: %w", err) // pgx redacts the password
	}
	db := stdlib.OpenDB(*config)
	err = sqldb.Check(ctx, db)
	return errors.Join(err, db.Close())
}

func migrate(ctx context.Context, db *sql.DB) error {
	one, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("migrating the store: %w", err)
	}
	return sqldb.Migrate(ctx, goose.DialectPostgres, db, goose.WithSessionLocker(one))
}

// Store is a store.Store in PostgreSQL.
type Store struct {
	*sqldb.DB

	pool *pgxpool.Pool
}

// Ping asks whether the database answers, and is one that may be written: no
// standby.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.DB.Ping(ctx); err != nil {
		return err
	}
	var readOnly bool
	if err := s.pool.QueryRow(ctx, getReadOnly).Scan(&readOnly); err != nil {
		return fmt.Errorf("asking the store whether it answers: %w", err)
	}
	if readOnly {
		return fmt.Errorf("%w: PostgreSQL is a standby, or its transactions are read-only by default: let the DSN lead to the primary", store.ErrNotWritable)
	}
	return nil
}

// Close closes the connections.
func (s *Store) Close() error {
	err := s.DB.Close()
	s.pool.Close()
	return err
}
