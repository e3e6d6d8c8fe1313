package sqldb_test

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite"

	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/postgres"
	"github.com/playgate/playgate/store/sqlite"
	"github.com/playgate/playgate/store/storetest"
)

var update = flag.Bool("update", false, "write the fixtures that are missing")

// versions returns the versions that the schema has had.
func versions(t *testing.T) (list []int64) {
	t.Helper()
	names, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	for _, name := range names {
		number, _, _ := strings.Cut(filepath.Base(name), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, n)
	}
	return list
}

func fixture(kind string, version int64) string {
	ending := map[string]string{"sqlite": "db", "postgres": "sql"}[kind]
	return filepath.Join("testdata", fmt.Sprintf("%s-%05d.%s", kind, version, ending))
}

// contents fills a store of a version, as that version of playgate did.
func contents(version int64) []string {
	statements := []string{
		`INSERT INTO catalogue_objects (environment, kind, id, version, deleted, seq, playback_ids, data) VALUES
			('acme', 'asset', 'FilmA', 1700000000000001, 0, 7, 'PFilmA QFilmA', '{"policies":["signed","public"],"duration":60.5}'),
			('acme', 'asset', 'FilmB', 1700000000000002, 1, 8, '', NULL),
			('acme', 'playback_id', 'PFilmB', 1700000000000002, 1, 9, '', NULL),
			('acme', 'live_stream', 'Stream', 1700000000000003, 0, 11, 'PStream', '{"policies":["signed"],"status":"idle"}')`,
		`UPDATE catalogue_clock SET seq = 11`,
		`INSERT INTO catalogue_syncs (environment, done_at, claimed_until) VALUES ('acme', 1700000000000000, 0)`,
		`INSERT INTO webhook_events (environment, id, taken_at) VALUES ('acme', 'event-1', 1700000000000000)`,
		`INSERT INTO grants (environment, id, issuer, viewer, type, scope_kind, scope_id, starts, ends, play_within, first_play, attributes, created_at, updated_at, revision) VALUES
			('acme', 'rental', 'main', 'u1', 'rental', 'asset_id', 'FilmA', 1700000000, 1702592000, 172800, 1700003600, '{"price":3.99}', 1700000000, 1700000000, 2),
			('acme', 'ticket', 'main', 'u1', 'ticket', 'all', '', NULL, NULL, 0, NULL, NULL, 1700000000, 1700000000, 1)`,
		`INSERT INTO key_ledger (environment, key_id, exp) VALUES ('acme', 'K1', 1800000000)`,
		`INSERT INTO paces (name, next_at) VALUES ('mux', 1700000000000000)`,
	}
	if version >= 5 {
		statements = append(statements, `INSERT INTO outbox (environment, kind, job_key, version, payload, revision, attempts, due_at, owner) VALUES
			('acme', 'test', 'asset FilmA', 3, 'payload', 1, 0, 1700000000000000, '')`)
	}
	if version >= 6 {
		statements = append(statements, `INSERT INTO store_checkpoints (seq, stamp) VALUES (11, 4711)`)
	}
	if version >= 7 {
		statements = append(statements, `UPDATE outbox SET added_at = due_at`)
	}
	return statements
}

// TestEveryVersionsStoreIsUpgraded opens a store of each version that the schema
// has had. The fixtures were made with -update when the version was the newest;
// a new migration needs new ones.
func TestEveryVersionsStoreIsUpgraded(t *testing.T) {
	t.Parallel()
	newest := slices.Max(versions(t))
	for _, version := range versions(t) {
		t.Run(fmt.Sprint("sqlite ", version), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "playgate.db")
			if *update {
				makeSQLite(t, version)
			}
			content, err := os.ReadFile(fixture("sqlite", version))
			must(t, err)
			must(t, os.WriteFile(path, content, 0o600))
			s, err := sqlite.Open(t.Context(), path)
			must(t, err)
			checkUpgraded(t, s, version)
			fresh := filepath.Join(t.TempDir(), "fresh.db")
			other, err := sqlite.Open(t.Context(), fresh)
			must(t, errors.Join(err, other.Close()))
			same(t, sqliteSchema(t, fresh), sqliteSchema(t, path))
		})
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := storetest.StartPostgres(t)
		fresh := server.Database(t, "fresh")
		s, err := postgres.Open(t.Context(), fresh)
		must(t, err)
		must(t, s.Close())
		for _, version := range versions(t) {
			if *update {
				makePostgres(t, server, version)
			}
			dsn := server.Database(t, fmt.Sprint("upgraded", version))
			content, err := os.ReadFile(fixture("postgres", version))
			must(t, err)
			run(t, "pgx", dsn, string(content))
			s, err := postgres.Open(t.Context(), dsn)
			must(t, err)
			checkUpgraded(t, s, version)
			same(t, postgresSchema(t, fresh), postgresSchema(t, dsn))
		}
	})
	if newest != 7 {
		t.Errorf("contents does not know what version %d of the schema has", newest)
	}
}

// checkUpgraded looks for what contents wrote, writes, and closes the store.
func checkUpgraded(t *testing.T, s store.Store, version int64) {
	t.Helper()
	defer func() { must(t, s.Close()) }()
	must(t, s.Ping(t.Context()))
	var objects []string
	must(t, s.Changes(t.Context(), "", 0, func(o *store.Object) error {
		objects = append(objects, fmt.Sprint(o.Seq, " ", o.Kind, " ", o.ID, " ", o.Deleted, " ", o.PlaybackIDs, " ", string(o.Data)))
		return nil
	}))
	same(t, []string{
		`7 asset FilmA false [PFilmA QFilmA] {"policies":["signed","public"],"duration":60.5}`,
		`8 asset FilmB true [] `,
		`9 playback_id PFilmB true [] `,
		`11 live_stream Stream false [PStream] {"policies":["signed"],"status":"idle"}`,
	}, objects)
	at := time.Unix(1_700_000_000, 0).UTC()
	grants, err := s.GrantsOf(t.Context(), "acme", "main", "u1")
	must(t, err)
	same(t, []store.Grant{
		{
			Environment: "acme", ID: "rental", Issuer: "main", Viewer: "u1", Type: "rental", ScopeKind: "asset_id", ScopeID: "FilmA", From: at, Until: at.Add(30 * 24 * time.Hour),
			PlayWithin: 48 * time.Hour, FirstPlay: at.Add(time.Hour), Attributes: []byte(`{"price":3.99}`), CreatedAt: at, UpdatedAt: at,
		},
		{Environment: "acme", ID: "ticket", Issuer: "main", Viewer: "u1", Type: "ticket", ScopeKind: "all", CreatedAt: at, UpdatedAt: at},
	}, grants)
	exp, err := s.Expiry(t.Context(), "acme", "K1")
	must(t, err)
	same(t, int64(1_800_000_000), exp)
	_, fresh, err := s.Apply(t.Context(), &store.Event{Environment: "acme", ID: "event-1", At: at}, nil, nil)
	must(t, err)
	same(t, false, fresh)
	job, found, err := s.ClaimJob(t.Context(), store.JobClaim{Environment: "acme", Kinds: []string{"test"}, Owner: "o", Lease: time.Minute, Now: time.Now()})
	must(t, err)
	if found != (version >= 5) || found && (job.Key != "asset FilmA" || string(job.Payload) != "payload") {
		t.Errorf("the job is %+v, %v", job, found)
	}
	seen, _, err := s.Compare(t.Context(), store.Checkpoint{})
	must(t, err)
	same(t, int64(11), seen.Seq)
	_, _, err = s.Apply(t.Context(), nil, []store.Object{{Environment: "acme", Kind: store.Asset, ID: "FilmC", Version: 1}}, nil)
	must(t, err)
	latest, became, err := s.Compare(t.Context(), seen)
	must(t, err)
	if became != store.Continued || latest.Seq <= seen.Seq {
		t.Errorf("after a write the newest checkpoint is %+v (%d), and was %+v", latest, became, seen)
	}
}

// sqliteSchema returns the tables and indexes of a file.
func sqliteSchema(t *testing.T, path string) []string {
	t.Helper()
	return rows(t, "sqlite", path, `SELECT name || ' ' || sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name`)
}

// postgresSchema returns the columns and indexes of a database.
func postgresSchema(t *testing.T, dsn string) []string {
	t.Helper()
	return append(
		rows(t, "pgx", dsn, `SELECT table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1`),
		rows(t, "pgx", dsn, `SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`)...)
}

func rows(t *testing.T, driver, dsn, query string) (out []string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	found, err := db.QueryContext(t.Context(), query)
	must(t, err)
	defer func() { must(t, found.Close()) }()
	for found.Next() {
		var text string
		must(t, found.Scan(&text))
		out = append(out, text)
	}
	must(t, found.Err())
	return out
}

// run runs statements.
func run(t *testing.T, driver, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// migrateTo makes an empty store of a version.
func migrateTo(t *testing.T, dialect goose.Dialect, dsn string, version int64) {
	t.Helper()
	files, err := fs.Sub(os.DirFS("."), "migrations")
	must(t, err)
	db, err := sql.Open(map[goose.Dialect]string{goose.DialectSQLite3: "sqlite", goose.DialectPostgres: "pgx"}[dialect], dsn)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	provider, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true))
	must(t, err)
	_, err = provider.UpTo(context.Background(), version)
	must(t, err)
}

// makeSQLite writes a fixture, unless it is there. Small pages make a small file.
func makeSQLite(t *testing.T, version int64) {
	t.Helper()
	path := fixture("sqlite", version)
	if _, err := os.Stat(path); err == nil {
		return
	}
	run(t, "sqlite", path, "PRAGMA page_size = 512", "VACUUM")
	migrateTo(t, goose.DialectSQLite3, path, version)
	run(t, "sqlite", path, append(contents(version), "VACUUM")...)
}

// makePostgres writes a fixture, unless it is there.
func makePostgres(t *testing.T, server *storetest.Postgres, version int64) {
	t.Helper()
	path := fixture("postgres", version)
	if _, err := os.Stat(path); err == nil {
		return
	}
	dsn := server.Database(t, fmt.Sprint("made", version))
	migrateTo(t, goose.DialectPostgres, dsn, version)
	run(t, "pgx", dsn, contents(version)...)
	dump, err := exec.CommandContext(t.Context(), cmp.Or(os.Getenv("PG_DUMP"), "pg_dump"), "--inserts", "--no-owner", "--no-privileges", dsn).Output()
	must(t, err)
	var kept []string
	for line := range strings.Lines(string(dump)) {
		// Commands of psql, comments and settings of the session that later servers may not know.
		if !strings.HasPrefix(line, `\`) && !strings.HasPrefix(line, "--") && !strings.HasPrefix(line, "SET ") && strings.TrimSpace(line) != "" {
			kept = append(kept, line)
		}
	}
	must(t, os.WriteFile(path, []byte(strings.Join(kept, "")), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +: %s", diff)
	}
}
