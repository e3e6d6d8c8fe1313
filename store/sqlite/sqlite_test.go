package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/sqlite"
	"github.com/playgate/playgate/store/storetest"
)

func open(t *testing.T, path string) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
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
	path := filepath.Join(t.TempDir(), "play gate?#%.db") // what a URL would cut
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, path) })
}

func TestRecordsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "playgate.db")
	first, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0).UTC()
	g := store.Grant{Environment: "e", ID: "g", Issuer: "main", Viewer: "u", Type: "ticket", ScopeKind: "all", CreatedAt: at, UpdatedAt: at}
	if _, _, err := first.PutGrant(t.Context(), &g, 1000); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, path).Grant(t.Context(), "e", "g"); err != nil || got.Viewer != "u" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOnlyTheOwnerReadsTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, filepath.Join(dir, "playgate.db"))
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "playgate.db")
	if err := os.WriteFile(path, []byte("this is text, and long enough not to be taken for an empty file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := sqlite.Open(t.Context(), path); err == nil {
		t.Error("it was opened")
		_ = s.Close()
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(path, "below")); err == nil {
		t.Error("a path below a file was opened")
	}
}
