package postgres_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/postgres"
	"github.com/playgate/playgate/store/storetest"
)

func open(t *testing.T, dsn string) store.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	dsn := storetest.StartPostgres(t).DSN() + "?pool_max_conns=4"
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store { return open(t, dsn) })
	})
	t.Run("jobs go by the database's clock", func(t *testing.T) {
		storetest.JobsOfOneClock(t, func(t *testing.T) store.Store { return open(t, dsn) })
	})
}

// TestStoreInADatabaseOfALanguage: such a database orders texts as people do.
func TestStoreInADatabaseOfALanguage(t *testing.T) {
	t.Parallel()
	dsn := storetest.StartPostgres(t).DSN()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `CREATE DATABASE english TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'`); err != nil {
		t.Fatal(err)
	}
	dsn = strings.TrimSuffix(dsn, "/postgres") + "/english?pool_max_conns=4"
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store { return open(t, dsn) })
	})
}

func TestARestartIsSurvived(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t)
	s := open(t, server.DSN())
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := s.GrantsOf(ctx, "e", "main", "u"); err == nil {
		t.Error("a store that is down answered")
	}
	server.Start(t)
	// Broken connections may each fail one call; then new ones serve.
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if _, err = s.GrantsOf(t.Context(), "e", "main", "u"); err == nil {
			return
		}
	}
	t.Errorf("the store does not come back: %v", err)
}

// TestAClockThatIsWrongTakesNobodysTurn: turns go by the database's.
func TestAClockThatIsWrongTakesNobodysTurn(t *testing.T) {
	t.Parallel()
	dsn := storetest.StartPostgres(t).DSN()
	right, wrong := open(t, dsn), open(t, dsn)
	for range 3 {
		for s, off := range map[store.Store]time.Duration{right: 0, wrong: time.Hour} {
			wait, err := s.Turn(t.Context(), store.Turn{Name: "mux", Every: time.Second, Now: time.Now().Add(off), Within: time.Minute})
			if err != nil || wait > 10*time.Second {
				t.Errorf("a turn waits %s, %v", wait, err)
			}
		}
	}
}

func TestReplicasMigrateOneAfterTheOther(t *testing.T) {
	t.Parallel()
	dsn := storetest.StartPostgres(t).DSN()
	failed := make(chan error, 4)
	for range cap(failed) {
		go func() {
			s, err := postgres.Open(context.Background(), dsn)
			if err == nil {
				err = s.Close()
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func TestABadDSNIsRefusedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"postgres://u:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@[broken", "host=127.0.0.1 port=1 password=hunter2 user=u"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		s, err := postgres.Open(ctx, dsn)
		cancel()
		if err == nil {
			t.Errorf("%s was opened", dsn)
			_ = s.Close()
			continue
		}
		if text := err.Error(); len(text) == 0 || strings.Contains(text, "hunter2") {
			t.Errorf("the error tells the password: %s", text)
		}
	}
}
