package e2e_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/postgres"
	"github.com/playgate/playgate/store/sqlite"
	"github.com/playgate/playgate/store/storetest"
)

// putGrant puts a grant for everything.
func putGrant(g *gateway, id string) (reply, error) {
	return call(http.MethodPut, g.url+"/v1/grants/"+id, `{"viewer":{"id":"u-`+id+`"},"type":"ticket","scope":{"all":true}}`, "Authorization", basic("tok-acme"))
}

// mustPutGrant fails the test unless a grant is acknowledged.
func mustPutGrant(t *testing.T, g *gateway, id string) {
	t.Helper()
	if r, err := putGrant(g, id); err != nil || r.status/100 != 2 {
		t.Fatalf("grant %s: %d %s, %v", id, r.status, r.body, err)
	}
}

func hasGrant(g *gateway, id string) bool {
	r, err := call(http.MethodGet, g.url+"/v1/grants/"+id, "", "Authorization", basic("tok-acme"))
	return err == nil && r.status == http.StatusOK
}

// metric returns whether a gateway shows a line among its metrics.
func showsMetric(g *gateway, line string) bool {
	r, err := call(http.MethodGet, g.admin+"/metrics", "")
	return err == nil && strings.Contains(string(r.body), "\n"+line+"\n")
}

// readiness returns what /readyz says, with its status.
func readiness(g *gateway) string {
	r, err := call(http.MethodGet, g.admin+"/readyz", "")
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(r.status, " ", string(r.body))
}

// hear delivers a webhook that says all of a film.
func (k *keptWorld) hear(t *testing.T, g *gateway, id string) {
	t.Helper()
	if got := deliver(g, k.film(t, "video.asset.ready", id)); got != "applied" {
		t.Fatalf("the webhook about %s is %q\n%s", id, got, g.log)
	}
}

// noMux answers for Mux that it is down: what is known comes from the store and
// from webhooks alone.
func (k *keptWorld) noMux() {
	k.intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
}

// startOnPostgres runs a gateway without Mux on a database of a server's own, and
// returns the database's data source name, too.
func startOnPostgres(t *testing.T) (*storetest.Postgres, string, *keptWorld, *gateway) {
	t.Helper()
	server := storetest.StartPostgres(t)
	dsn := server.Database(t, "live")
	k := newKeptWorld(t, fmt.Sprintf("store: {driver: postgres, dsn: %q}\n", dsn))
	k.noMux()
	return server, dsn, k, start(t, k.files)
}

// TestChaosPostgresGoesBack restores an earlier state of the database under a
// running gateway; the second time, somebody writes to it before the gateway sees
// it, so that its sequence is ahead of what the gateway saw.
func TestChaosPostgresGoesBack(t *testing.T) {
	t.Parallel()
	for name, writes := range map[string]int{"to an earlier state": 0, "and on beyond": 60} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, dsn, k, g := startOnPostgres(t)
			k.hear(t, g, "Early")
			mustPutGrant(t, g, "early")
			backup := server.Backup(t, dsn, "backup")
			k.hear(t, g, "Lost")
			mustPutGrant(t, g, "lost")
			writeElsewhere(t, backup, writes)

			server.Run(t, "DROP DATABASE live WITH (FORCE)", "ALTER DATABASE backup RENAME TO live")
			g.await("the alarm", func() bool {
				if !knows(g, "Early") || !knows(g, "Lost") {
					t.Fatalf("what was acknowledged is not in force any more\n%s", g.log)
				}
				return showsMetric(g, "playgate_store_rewinds_total 1")
			})
			if line := g.awaitLine("the store went back to an earlier state: what was written since is lost, but for what this process knows of the catalogue and of the signing keys' expiries"); line["level"] != "ERROR" {
				t.Errorf("%v", line)
			}
			if got := readiness(g); !strings.HasPrefix(got, "200") || !strings.Contains(got, "the store went back to an earlier state") {
				t.Errorf("/readyz: %s", got)
			}
			if !hasGrant(g, "early") || hasGrant(g, "lost") {
				t.Error("grants are not those of the backup")
			}
			if writes > 0 && !knows(g, "Elsewhere1") {
				t.Error("what was written to the backup is not known")
			}
			other := start(t, k.files)
			other.await("what the first gateway knew", func() bool { return knows(other, "Early") && knows(other, "Lost") })
			k.hear(t, g, "Late")
			other.await("what comes later", func() bool { return knows(other, "Late") })
			if !showsMetric(g, "playgate_store_rewinds_total 1") || !showsMetric(other, "playgate_store_rewinds_total 0") {
				t.Error("more alarms than there was reason for")
			}
		})
	}
}

// writeElsewhere writes films, as another gateway does.
func writeElsewhere(t *testing.T, dsn string, films int) {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for n := range films {
		id := fmt.Sprint("Elsewhere", n)
		_, _, err := s.Apply(t.Context(), nil, []store.Object{{
			Environment: "acme", Kind: store.Asset, ID: id, Version: 1, PlaybackIDs: []playback.ID{playback.ID("P" + id)}, Data: []byte(`{"policies":["signed"]}`),
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestChaosPostgresIsReadOnly, as a standby is that a failover has left behind.
func TestChaosPostgresIsReadOnly(t *testing.T) {
	t.Parallel()
	server, _, k, g := startOnPostgres(t)
	k.hear(t, g, "Film")
	mustPutGrant(t, g, "kept")
	end := "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'live'"
	server.Run(t, "ALTER DATABASE live SET default_transaction_read_only = on", end)
	unwritable(t, k, g, "PostgreSQL is a standby, or its transactions are read-only by default")
	server.Run(t, "ALTER DATABASE live RESET default_transaction_read_only", end)
	g.await("writes", func() bool { r, err := putGrant(g, "later"); return err == nil && r.status/100 == 2 })
	g.await("ready without a reason", func() bool { return !strings.Contains(readiness(g), "degraded") })
	if showsMetric(g, "playgate_store_rewinds_total 1") {
		t.Error("an alarm for a store that lost nothing")
	}
}

// unwritable holds a gateway to what it does while its store cannot be written.
func unwritable(t *testing.T, k *keptWorld, g *gateway, reason string) {
	t.Helper()
	refused := func(what string, r reply, err error) {
		t.Helper()
		if err != nil || r.status != http.StatusServiceUnavailable || r.code() != "dependency_unavailable" || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s, %v, Retry-After %q", what, r.status, r.body, err, r.header.Get("Retry-After"))
		}
	}
	r, err := putGrant(g, "refused")
	refused("a grant", r, err)
	if got := deliver(g, k.film(t, "video.asset.ready", "Refused")); got != "" {
		t.Errorf("a webhook is %q", got)
	}
	g.await("a reason", func() bool {
		got := readiness(g)
		return strings.HasPrefix(got, "200") && strings.Contains(got, `"degraded":["store"]`) && strings.Contains(got, "the store cannot be written: ") && strings.Contains(got, reason)
	})
	if !showsMetric(g, `playgate_dependency_up{dependency="store"} 0`) {
		t.Error("the metric says that the store is up")
	}
	if line := g.awaitLine("a dependency cannot be written"); line["level"] != "ERROR" {
		t.Errorf("%v", line)
	}
	if !knows(g, "Film") || !hasGrant(g, "kept") {
		t.Error("what was acknowledged before cannot be read")
	}
	r, err = putGrant(g, "refused")
	refused("a grant, later", r, err)
}

// TestChaosSQLiteIsRemoved removes, moves or replaces the file that a gateway has
// open. Nothing is acknowledged from the very moment.
func TestChaosSQLiteIsRemoved(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]struct {
		do     func(path string) error
		reason string
	}{
		"removed":     {os.Remove, "was removed or moved"},
		"moved":       {func(path string) error { return os.Rename(path, path+".old") }, "was removed or moved"},
		"replaced":    {func(path string) error { return os.Rename(path+".other", path) }, "was replaced by another one"},
		"log removed": {func(path string) error { return os.Remove(path + "-wal") }, "-wal was removed or moved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "p.db")
			k := newKeptWorld(t, "store: {dsn: "+path+"}\n")
			k.noMux()
			g := start(t, k.files)
			k.hear(t, g, "Film")
			mustPutGrant(t, g, "kept")
			other, err := sqlite.Open(t.Context(), path+".other")
			if err == nil {
				err = other.Close()
			}
			if err == nil {
				err = damage.do(path)
			}
			if err != nil {
				t.Fatal(err)
			}
			unwritable(t, k, g, damage.reason)
			if name == "moved" {
				if err := os.Rename(path+".old", path); err != nil {
					t.Fatal(err)
				}
				mustPutGrant(t, g, "later")
				g.await("ready without a reason", func() bool { return !strings.Contains(readiness(g), "degraded") })
			}
			g.signal(syscall.SIGTERM)
			if err := g.wait(); err != nil {
				t.Errorf("the gateway ended: %v", err)
			}
			if next := start(t, k.files); name == "moved" && (!hasGrant(next, "kept") || !hasGrant(next, "later")) {
				t.Error("what was acknowledged is lost")
			}
		})
	}
}

// TestChaosSchemaThatDoesNotFit: a gateway does not start on a store that a newer
// one has changed, or that lacks something. It says at once what to do.
func TestChaosSchemaThatDoesNotFit(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t)
	for damage, words := range map[string][]string{
		"INSERT INTO goose_db_version (version_id, is_applied) VALUES (97, TRUE)": {"version 97", "start the version of playgate that wrote it"},
		"ALTER TABLE grants RENAME COLUMN viewer TO who":                          {"table grants lacks viewer", "restore a whole backup"},
	} {
		name := map[bool]string{true: "newer", false: "incomplete"}[strings.HasPrefix(damage, "INSERT")]
		path, dsn := filepath.Join(t.TempDir(), "p.db"), server.Database(t, name)
		for section, made := range map[string]func() (store.Store, error){
			"store: {dsn: " + path + "}\n":                           func() (store.Store, error) { return sqlite.Open(t.Context(), path) },
			fmt.Sprintf("store: {driver: postgres, dsn: %q}\n", dsn): func() (store.Store, error) { return postgres.Open(t.Context(), dsn) },
		} {
			s, err := made()
			if err == nil {
				err = s.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			driver, source := "sqlite", path
			if strings.Contains(section, "postgres") {
				driver, source = "pgx", dsn
			}
			alter(t, driver, source, damage)
			w := newWorld(t, "", "acme")
			w.files["playgate.yaml"] += section
			began := time.Now()
			status, _, stderr := run(t, w.files, "serve", "--config", "playgate.yaml")
			if status != 1 {
				t.Errorf("%s, %s: exit %d after %s\n%s", driver, name, status, time.Since(began), stderr)
			}
			for _, word := range words {
				if !strings.Contains(stderr, word) {
					t.Errorf("%s: %q is not in %s", driver, word, stderr)
				}
			}
			if status, _, stderr := run(t, w.files, "check-config", "playgate.yaml"); status != 1 || !strings.Contains(stderr, "store.dsn") || !strings.Contains(stderr, words[0]) {
				t.Errorf("check-config: exit %d, %s", status, stderr)
			}
			if strings.Contains(stderr, "waiting for PostgreSQL") {
				t.Errorf("it waits for PostgreSQL: %s", stderr)
			}
		}
	}
}

func alter(t *testing.T, driver, source, statement string) {
	t.Helper()
	db, err := sql.Open(driver, source)
	if err == nil {
		_, err = db.ExecContext(t.Context(), statement)
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
