package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/postgres"
	"github.com/playgate/playgate/store/sqlite"
	"github.com/playgate/playgate/store/storetest"
)

// refused fails unless a store is refused for its schema, with these words.
func refused(t *testing.T, open func(context.Context) (store.Store, error), words ...string) {
	t.Helper()
	s, err := open(t.Context())
	if err == nil {
		must(t, s.Close())
	}
	if !errors.Is(err, store.ErrSchema) {
		t.Errorf("want a refusal of the schema with %q, got %v", words, err)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in: %v", word, err)
		}
	}
}

// damages are schemas that no playgate of this version can use, and what is said of
// them.
func damages() map[string][]string {
	return map[string][]string{
		`INSERT INTO goose_db_version (version_id, is_applied) VALUES (97, TRUE)`: {"version 97", "up to 7", "start the version of playgate that wrote it"},
		`ALTER TABLE grants RENAME COLUMN first_play TO played`:                   {"table grants lacks first_play", "restore a whole backup"},
		`DROP TABLE outbox`:                            {"table outbox"},
		`DELETE FROM catalogue_clock`:                  {"catalogue_clock has 0 rows instead of 1"},
		`INSERT INTO catalogue_clock (seq) VALUES (1)`: {"catalogue_clock has 2 rows instead of 1"},
		`DELETE FROM store_checkpoints`:                {"store_checkpoints has no row"},
		`UPDATE store_checkpoints SET seq = 5`:         {"catalogue_clock.seq is 0"},
		`ALTER TABLE key_ledger RENAME TO o; CREATE TABLE key_ledger AS SELECT * FROM o`: {"table key_ledger lacks the primary key (environment, key_id)"},
	}
}

func TestASchemaThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	for damage, words := range damages() {
		t.Run("sqlite "+damage, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "playgate.db")
			open := func(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, path) }
			s, err := open(t.Context())
			must(t, err)
			must(t, s.Close())
			run(t, "sqlite", path, damage)
			refused(t, open, append(words, path)...)
			refused(t, func(ctx context.Context) (store.Store, error) { return nil, sqlite.Check(ctx, path) }, words...)
		})
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := storetest.StartPostgres(t)
		n := 0
		for damage, words := range damages() {
			n++
			dsn := server.Database(t, fmt.Sprint("damaged", n))
			open := func(ctx context.Context) (store.Store, error) { return postgres.Open(ctx, dsn) }
			s, err := open(t.Context())
			must(t, err)
			must(t, s.Close())
			run(t, "pgx", dsn, strings.Split(damage, "; ")...)
			refused(t, open, words...)
			refused(t, func(ctx context.Context) (store.Store, error) { return nil, postgres.Check(ctx, dsn) }, words...)
		}
	})
}

// TestTheSchemaOfAnOlderOrEmptyStoreIsGood: Open brings it up to date, and Check
// changes nothing.
func TestTheSchemaOfAnOlderOrEmptyStoreIsGood(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "playgate.db")
	must(t, sqlite.Check(t.Context(), path))
	for _, version := range versions(t) {
		content, err := os.ReadFile(fixture("sqlite", version))
		must(t, err)
		must(t, os.WriteFile(path, content, 0o600))
		must(t, sqlite.Check(t.Context(), path))
		after, err := os.ReadFile(path)
		must(t, err)
		same(t, content, after)
	}
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, sqlite.Check(t.Context(), path))
	must(t, os.WriteFile(path, []byte("this is no database, and is long enough not to be taken for one"), 0o600))
	if err := sqlite.Check(t.Context(), path); err == nil {
		t.Error("a file that is no database is good")
	}
}

// TestAnyColumnThatIsMissingIsRefused holds the list of what the statements need to
// what the migrations make.
func TestAnyColumnThatIsMissingIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "playgate.db")
	open := func(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, path) }
	s, err := open(t.Context())
	must(t, err)
	must(t, s.Close())
	columns := rows(t, "sqlite", path, `SELECT m.name || ' ' || c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c
		WHERE m.type = 'table' AND m.name <> 'goose_db_version' AND m.name NOT LIKE 'sqlite_%'`)
	if len(columns) < 40 {
		t.Fatalf("only %d columns", len(columns))
	}
	for _, column := range columns {
		table, name, _ := strings.Cut(column, " ")
		run(t, "sqlite", path, fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO other", table, name))
		refused(t, open, "table "+table+" lacks "+name)
		run(t, "sqlite", path, fmt.Sprintf("ALTER TABLE %s RENAME COLUMN other TO %s", table, name))
	}
	s, err = open(t.Context())
	must(t, err)
	must(t, s.Close())
}

// TestAHistoryThatForksIsFound compares what was seen of a store with a copy of it
// that was made earlier, before and after that one has gone beyond.
func TestAHistoryThatForksIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "playgate.db"), filepath.Join(dir, "backup.db")
	s, err := sqlite.Open(t.Context(), path)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	write := func(s store.Store, id string) store.Checkpoint {
		t.Helper()
		_, _, err := s.Apply(t.Context(), nil, []store.Object{{Environment: "acme", Kind: store.Asset, ID: id, Version: 1}}, nil)
		must(t, err)
		latest, _, err := s.Compare(t.Context(), store.Checkpoint{})
		must(t, err)
		return latest
	}
	before := write(s, "A")
	run(t, "sqlite", path, fmt.Sprintf("VACUUM INTO '%s'", backup))
	g := store.Grant{Environment: "acme", ID: "g", Issuer: "main", Viewer: "u", Type: "ticket", ScopeKind: "all"}
	_, _, err = s.PutGrant(t.Context(), &g, 10)
	must(t, err)
	must(t, s.Mark(t.Context()))
	seen, _, err := s.Compare(t.Context(), before)
	must(t, err)
	if seen == before {
		t.Error("a grant is not part of a checkpoint")
	}
	must(t, s.Mark(t.Context()))
	if again, _, err := s.Compare(t.Context(), before); err != nil || again != seen {
		t.Errorf("a checkpoint was made of nothing: %+v after %+v, %v", again, seen, err)
	}

	restored, err := sqlite.Open(t.Context(), backup)
	must(t, err)
	defer func() { must(t, restored.Close()) }()
	found := func(seen store.Checkpoint, want store.Continuity) {
		t.Helper()
		latest, became, err := restored.Compare(t.Context(), seen)
		must(t, err)
		if became != want {
			t.Errorf("%+v became %d, want %d; the newest is %+v", seen, became, want, latest)
		}
	}
	found(before, store.Continued)
	found(seen, store.Rewound) // by a grant alone
	for latest := before; latest.Seq <= seen.Seq; {
		latest = write(restored, fmt.Sprint("B", latest.Seq))
	}
	found(seen, store.Rewound)
	found(before, store.Continued)
	run(t, "sqlite", backup, fmt.Sprintf("DELETE FROM store_checkpoints WHERE seq <= %d", seen.Seq))
	found(seen, store.Forgotten)
}

// TestWhatAnOlderVersionWroteGetsACheckpoint: it makes none itself.
func TestWhatAnOlderVersionWroteGetsACheckpoint(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "playgate.db")
	s, err := sqlite.Open(t.Context(), path)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	run(t, "sqlite", path, "UPDATE catalogue_clock SET seq = 3")
	must(t, s.Mark(t.Context()))
	if latest, _, err := s.Compare(t.Context(), store.Checkpoint{}); err != nil || latest.Seq <= 3 {
		t.Errorf("the newest checkpoint is %+v, %v", latest, err)
	}
}
