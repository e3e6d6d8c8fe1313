package fileversion_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/playgate/playgate/fileversion"
)

func put(t *testing.T, path, text string, modified time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, modified, modified); err != nil {
		t.Fatal(err)
	}
}

func of(t *testing.T, path string) fileversion.Version {
	t.Helper()
	v, err := fileversion.Of(path)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSameSizeAndTimeIsAnotherVersion: a file that is replaced, and one that is
// overwritten in place.
func TestSameSizeAndTimeIsAnotherVersion(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("inodes are compared on Linux alone")
	}
	dir := t.TempDir()
	path, other := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	long := time.Unix(1_700_000_000, 0)
	put(t, path, "one", long)
	put(t, other, "two", long)
	before := of(t, path)
	if of(t, path) != before {
		t.Error("an untouched file has two versions")
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	renamed := of(t, path)
	if renamed == before || !renamed.Alike(before) {
		t.Errorf("renamed over: %+v after %+v", renamed, before)
	}
	for deadline := time.Now().Add(5 * time.Second); ; { // the kernel's clock ticks
		put(t, path, "thr", long)
		if of(t, path) != renamed {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("overwritten in place: %+v still", renamed)
		}
	}
	put(t, path, "thr", long.Add(time.Second))
	if now := of(t, path); now.Alike(renamed) || !now.Modified().Equal(long.Add(time.Second)) || now.Size() != 3 {
		t.Errorf("with another time: %+v, alike to %+v", now, renamed)
	}
}

func TestNoFileHasNoVersion(t *testing.T) {
	t.Parallel()
	v, err := fileversion.Of(filepath.Join(t.TempDir(), "none"))
	if err == nil || v != (fileversion.Version{}) || v.Alike(v) {
		t.Errorf("Of = %+v, %v", v, err)
	}
}
