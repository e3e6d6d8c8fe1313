//go:build unix

package file_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
)

// TestRootWritesForWhomTheDirectoryBelongsTo: for others there is nobody but
// themselves.
func TestRootWritesForWhomTheDirectoryBelongsTo(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	if uid == 0 {
		uid, gid = 12345, 54321
	}
	d.check(os.Chown(d.path, int(uid), int(gid)))
	d.check(d.source.Create(t.Context(), acme, keystore.NewKey{ID: "K1", PEM: keystoretest.PEM(t, 1), Life: keystore.Life{State: keystore.Active}}))
	d.check(d.source.OpenJournal(t.Context(), acme, keystore.Entry{Operation: "create"}))
	for _, name := range []string{"", ".lock", ".journal.json", "K1.pem", "K1.json"} {
		info, err := os.Stat(filepath.Join(d.path, string(acme), name))
		d.check(err)
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || owner.Uid != uid || owner.Gid != gid {
			t.Errorf("%q belongs to %+v, want %d:%d", name, owner, uid, gid)
		}
	}
}
