package file_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
)

func TestADirectoryThatGoesWithdrawsNothing(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("acme/K1.pem", string(keystoretest.PEM(t, 1)))
	d.want("K1")
	d.check(os.Rename(filepath.Join(d.path, "acme"), filepath.Join(d.path, "away")))
	if records, _, err := d.source.Load(t.Context(), acme); err == nil {
		t.Errorf("without its directory the environment has the keys %v, and no error", records)
	}
	d.check(os.Rename(filepath.Join(d.path, "away"), filepath.Join(d.path, "acme")))
	d.want("K1")
}

func TestWhatACrashLeavesIsRemoved(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("acme/.tmp-ABC", "half a key")
	d.check(d.source.OpenJournal(t.Context(), acme, keystore.Entry{Operation: "create"}))
	if _, err := os.Stat(filepath.Join(d.path, "acme/.tmp-ABC")); err == nil {
		t.Error("it is still there")
	}
}

func TestAStateKeepsItsMode(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("acme/K1.pem", string(keystoretest.PEM(t, 1)))
	d.write("acme/K1.json", `{"state":"prepared"}`)
	path := filepath.Join(d.path, "acme/K1.json")
	d.check(os.Chmod(path, 0o640))
	d.check(d.source.Change(t.Context(), acme, "K1", func(l keystore.Life) (keystore.Life, error) { return l.Activate(time.Unix(1795425054, 0)) }))
	info, err := os.Stat(path)
	d.check(err)
	if info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestAnUnusableKeySaysItsState(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"no key", ""} {
		d := newDirectory(t)
		d.write("acme/K1.pem", text)
		d.write("acme/K1.json", `{"state":"active"}`)
		records, _, err := d.source.Load(t.Context(), acme)
		if err != nil || len(records) != 1 || records[0].Refused == nil || records[0].State != keystore.Active {
			t.Errorf("%q: records %v, %v", text, records, err)
		}
	}
}
