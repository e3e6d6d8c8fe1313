package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/sqlite"
)

func ticket(id string) store.Grant {
	at := time.Unix(1_700_000_000, 0).UTC()
	return store.Grant{Environment: "e", ID: id, Issuer: "main", Viewer: "u", Type: "ticket", ScopeKind: "all", CreatedAt: at, UpdatedAt: at}
}

// writes calls all that writes, and returns what fails with another error than
// wanted (nil: none may fail).
func writes(t *testing.T, s store.Store, want error) {
	t.Helper()
	at := time.Unix(1_700_000_000, 0)
	job := store.Job{Environment: "e", Kind: "k", Key: "j"}
	for name, write := range map[string]func(ctx context.Context) error{
		"Apply": func(ctx context.Context) error {
			_, _, err := s.Apply(ctx, nil, []store.Object{{Environment: "e", Kind: store.Asset, ID: "A"}}, nil)
			return err
		},
		"PutGrant":    func(ctx context.Context) error { g := ticket("g"); _, _, err := s.PutGrant(ctx, &g, 10); return err },
		"StartPlay":   func(ctx context.Context) error { _, err := s.StartPlay(ctx, "e", "kept", at); return err },
		"DeleteGrant": func(ctx context.Context) error { return ignore(s.DeleteGrant(ctx, "e", "none"), store.ErrNotFound) },
		"RaiseExpiries": func(ctx context.Context) error {
			return s.RaiseExpiries(ctx, []store.Expiry{{Environment: "e", Key: "K", Exp: 1}})
		},
		"AddJobs": func(ctx context.Context) error {
			return s.AddJobs(ctx, store.JobBatch{Jobs: []store.Job{job}, Max: 10, Now: at})
		},
		"ClaimJob": func(ctx context.Context) error {
			_, _, err := s.ClaimJob(ctx, store.JobClaim{Environment: "e", Kinds: []string{"x"}, Owner: "o", Now: at})
			return err
		},
		"FinishJob":    func(ctx context.Context) error { return s.FinishJob(ctx, "o", &job, at) },
		"RetryJob":     func(ctx context.Context) error { return s.RetryJob(ctx, "o", &job, store.Due{Now: at}) },
		"ClaimSync":    func(ctx context.Context) error { _, err := s.ClaimSync(ctx, "e", store.SyncClaim{}); return err },
		"ExtendSync":   func(ctx context.Context) error { return s.ExtendSync(ctx, "e", at) },
		"EndSync":      func(ctx context.Context) error { return s.EndSync(ctx, "e", at) },
		"ForgetEvents": func(ctx context.Context) error { return s.ForgetEvents(ctx, at) },
		"TrimHistory":  s.TrimHistory,
		"Turn": func(ctx context.Context) error {
			_, err := s.Turn(ctx, store.Turn{Name: "n", Now: at, Within: time.Hour})
			return err
		},
		"Ping": s.Ping,
	} {
		if err := write(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

func ignore(err, which error) error {
	if errors.Is(err, which) {
		return nil
	}
	return err
}

// TestAFileThatIsNoLongerThereIsNotWritten: SQLite itself goes on with a file
// that has no name any more.
func TestAFileThatIsNoLongerThereIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"removed":       os.Remove,
		"moved":         func(path string) error { return os.Rename(path, path+".old") },
		"replaced":      func(path string) error { return os.Rename(filepath.Join(filepath.Dir(path), "other"), path) },
		"log removed":   func(path string) error { return os.Remove(path + "-wal") },
		"index removed": func(path string) error { return os.Remove(path + "-shm") },
		"folder moved":  func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "data", "playgate.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			other, err := sqlite.Open(t.Context(), filepath.Join(filepath.Dir(path), "other"))
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
			s := open(t, path)
			kept := ticket("kept")
			if _, _, err := s.PutGrant(t.Context(), &kept, 10); err != nil {
				t.Fatal(err)
			}
			writes(t, s, nil)
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			writes(t, s, store.ErrNotWritable)
			readsOn(t, s)
			if _, err := os.Stat(path + "-wal"); name == "log removed" && err == nil {
				t.Error("a log was made anew")
			}
		})
	}
}

// readsOn reads on as many connections at once as there may be: all read from the
// file that was opened.
func readsOn(t *testing.T, s store.Store) {
	t.Helper()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if g, err := s.Grant(t.Context(), "e", "kept"); err != nil || g.ID != "kept" {
				t.Errorf("a reader found %+v, %v", g, err)
			}
		})
	}
	all.Wait()
}

func TestAFileThatIsPutBackIsWrittenAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "playgate.db")
	s := open(t, path)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	writes(t, s, store.ErrNotWritable)
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	kept := ticket("kept")
	if _, _, err := s.PutGrant(t.Context(), &kept, 10); err != nil {
		t.Fatal(err)
	}
	writes(t, s, nil)
}

// TestAFileThatIsRemovedDuringAWriteIsNotAcknowledged: the transaction is complete,
// and lost.
func TestAFileThatIsRemovedDuringAWriteIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "playgate.db")
	s := open(t, path)
	old := store.Object{Environment: "e", Kind: store.Asset, ID: "A", Version: 1, Data: []byte("old")}
	if _, _, err := s.Apply(t.Context(), nil, []store.Object{old}, nil); err != nil {
		t.Fatal(err)
	}
	tied := old
	tied.Data = []byte("tied")
	_, _, err := s.Apply(t.Context(), nil, []store.Object{tied}, func(a, _ *store.Object) store.Object {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
		return *a
	})
	if !errors.Is(err, store.ErrNotWritable) {
		t.Errorf("a write to a file that was removed: %v", err)
	}
}

// TestAFileBehindALinkIsOpened: its log lies beside the file, not beside the link.
func TestAFileBehindALinkIsOpened(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path, link string) error{
		"the file is removed": func(path, _ string) error { return os.Remove(path) },
		"the log is removed":  func(path, _ string) error { return os.Remove(path + "-wal") },
		"the link is removed": func(_, link string) error { return os.Remove(link) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, link := filepath.Join(dir, "volume", "playgate.db"), filepath.Join(dir, "link.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join("volume", "playgate.db"), link); err != nil {
				t.Fatal(err)
			}
			s := open(t, link)
			kept := ticket("kept")
			if _, _, err := s.PutGrant(t.Context(), &kept, 10); err != nil {
				t.Fatal(err)
			}
			writes(t, s, nil)
			if err := damage(path, link); err != nil {
				t.Fatal(err)
			}
			writes(t, s, store.ErrNotWritable)
		})
	}
}
