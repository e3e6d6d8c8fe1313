package file_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/file"
	"github.com/playgate/playgate/keystore/keystoretest"
)

func TestKeeperConformance(t *testing.T) {
	t.Parallel()
	keystoretest.RunKeeper(t, func(t *testing.T) (a, b keystore.Keeper) {
		t.Helper()
		dir := t.TempDir()
		return file.New(file.Config{Dir: dir}), file.New(file.Config{Dir: dir})
	})
}

func TestWhatIsWrittenIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	source := file.New(file.Config{Dir: dir})
	key := keystore.NewKey{ID: "K1", PEM: keystoretest.PEM(t, 1), Life: keystore.Life{State: keystore.Prepared}}
	if err := source.Create(t.Context(), acme, key); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, string(acme)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", entry.Name(), info.Mode())
		}
		names = append(names, entry.Name())
	}
	if got := strings.Join(names, " "); got != ".lock K1.json K1.pem" {
		t.Errorf("files %q", got)
	}
}

func TestAChangeKeepsWhatOthersNoted(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("acme/K1.pem", string(keystoretest.PEM(t, 1)))
	d.write("acme/K1.json", `{"state":"active","activated_at":1795425054,"note":"made by hand","ticket":7}`)
	retire := func(l keystore.Life) (keystore.Life, error) { return l.Retire(l.ActivatedAt) }
	if err := d.source.Change(t.Context(), acme, "K1", retire); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(d.path, "acme/K1.json"))
	d.check(err)
	want := `{"activated_at":"2026-11-23T09:10:54Z","note":"made by hand","retired_at":"2026-11-23T09:10:54Z","state":"retired","ticket":7}` + "\n"
	if string(text) != want {
		t.Errorf("the state is %s, want %s", text, want)
	}
}

func TestAKeyWithoutAStateCanBeChanged(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("acme/K1.pem", string(keystoretest.PEM(t, 1)))
	var seen keystore.State = "none"
	err := d.source.Change(t.Context(), acme, "K1", func(l keystore.Life) (keystore.Life, error) {
		seen = l.State
		return l.Activate(l.ActivatedAt)
	})
	if err != nil || seen != keystore.Stateless {
		t.Errorf("Change = %v, state before %q", err, seen)
	}
	d.want("K1")
}

func TestAStateThatCannotBeReadIsNotWrittenOver(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("acme/K1.pem", string(keystoretest.PEM(t, 1)))
	d.write("acme/K1.json", `{"state":"activ`)
	err := d.source.Change(t.Context(), acme, "K1", func(l keystore.Life) (keystore.Life, error) { return l, nil })
	if err == nil || !strings.Contains(err.Error(), "K1.json") {
		t.Errorf("Change = %v, want an error that names the file", err)
	}
	d.write("acme/.journal.json", "{")
	if _, _, err := d.source.Journal(t.Context(), acme); err == nil {
		t.Error("a broken journal was read")
	}
	err = d.source.OpenJournal(t.Context(), acme, keystore.Entry{Operation: "create"})
	if err == nil {
		t.Error("a broken journal was written over")
	}
	if errors.Is(err, keystore.ErrNoKey) {
		t.Error(err)
	}
}
