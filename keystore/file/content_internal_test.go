package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A process that runs out of file descriptors must not lose its keys.
func TestTroubleThatPassesIsNoWithdrawal(t *testing.T) {
	t.Parallel()
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.ENOMEM, syscall.EINTR, syscall.ETIMEDOUT, errors.New("unheard of")} {
		if got := transient(unreadable(&fs.PathError{Op: "open", Path: "x", Err: err})); !errors.Is(got, err) {
			t.Errorf("transient(%v) = %v, want it", err, got)
		}
	}
	for _, err := range []error{syscall.ENOENT, syscall.EACCES, syscall.EPERM, syscall.ELOOP, syscall.ENOTDIR, errNotFile, errTooLarge} {
		if got := transient(fmt.Errorf("its state %w", unreadable(&fs.PathError{Op: "open", Path: "x", Err: err}))); got != nil {
			t.Errorf("transient(%v) = %v, want nil: the key is refused, the others load", err, got)
		}
	}
}

func TestAnEscapeIsRecognized(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "x")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if _, err := root.Stat("x"); err == nil || transient(unreadable(err)) != nil {
		t.Errorf("os.Root's error %v is not recognized", err)
	}
}
