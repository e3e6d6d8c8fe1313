//go:build linux

package file

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/playback"
)

// place is a key directory with one environment, whose files the kernel may know.
type place struct {
	*testing.T
	above  string // of the key directory
	source *Source
	ahead  atomic.Int64 // of the source's clock
	told   chan playback.EnvironmentID
}

func newPlace(t *testing.T, noticed bool) *place {
	t.Helper()
	p := &place{T: t, above: t.TempDir(), told: make(chan playback.EnvironmentID, 1000)}
	p.ahead.Store(int64(time.Hour)) // long after all that is written here
	p.write("keys/acme/K1.pem", string(keystoretest.PEM(t, 1)))
	p.write("keys/acme/K1.json", `{"state":"active"}`)
	p.source = New(Config{Dir: filepath.Join(p.above, "keys"), Now: func() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }})
	if noticed {
		p.source.Notify(func(env playback.EnvironmentID) { p.told <- env })
	}
	t.Cleanup(func() { p.must(p.source.Close()) })
	if !local(p.above) {
		if os.Getenv("CI") == "true" {
			t.Fatal("the file system of the temporary folder is not known to be local")
		}
		t.Skip("the file system of the temporary folder is not known to be local, so there are no marks")
	}
	return p
}

func (p *place) path(name string) string { return filepath.Join(p.above, name) }

func (p *place) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *place) write(name, text string) {
	p.Helper()
	p.must(os.MkdirAll(filepath.Dir(p.path(name)), 0o700))
	p.must(os.WriteFile(p.path(name), []byte(text), 0o600))
}

func (p *place) load() keystore.Mark {
	p.Helper()
	_, problems, mark, err := p.source.LoadMarked(p.Context(), "acme")
	if err != nil || len(problems) > 0 {
		p.Fatalf("LoadMarked: problems %v, %v", problems, err)
	}
	return mark
}

// changes are all ways to change what an environment's keys are.
func changes() map[string]func(*place) {
	return map[string]func(*place){
		"a state is overwritten, with the size and the time of the one before": func(p *place) {
			info, err := os.Stat(p.path("keys/acme/K1.json"))
			p.must(err)
			p.write("keys/acme/K1.json", `{"state":"retire"}`)
			p.must(os.Chtimes(p.path("keys/acme/K1.json"), info.ModTime(), info.ModTime()))
		},
		"a state is replaced": func(p *place) {
			p.write("keys/acme/.new", `{"state":"active"}`)
			p.must(os.Rename(p.path("keys/acme/.new"), p.path("keys/acme/K1.json")))
		},
		"a key is removed":    func(p *place) { p.must(os.Remove(p.path("keys/acme/K1.pem"))) },
		"a state is removed":  func(p *place) { p.must(os.Remove(p.path("keys/acme/K1.json"))) },
		"a key is added":      func(p *place) { p.write("keys/acme/K2.pem", "") },
		"a mode is changed":   func(p *place) { p.must(os.Chmod(p.path("keys/acme/K1.pem"), 0o644)) },
		"the folder is moved": func(p *place) { p.must(os.Rename(p.path("keys/acme"), p.path("keys/other"))) },
		"the folder is removed": func(p *place) {
			p.must(os.RemoveAll(p.path("keys/acme")))
		},
		"the folder is replaced": func(p *place) {
			p.write("keys/next/K1.pem", "")
			p.must(os.Rename(p.path("keys/acme"), p.path("keys/old")))
			p.must(os.Rename(p.path("keys/next"), p.path("keys/acme")))
		},
		"the key directory is replaced": func(p *place) {
			p.write("next/acme/K1.pem", "")
			p.must(os.Rename(p.path("keys"), p.path("old")))
			p.must(os.Rename(p.path("next"), p.path("keys")))
		},
	}
}

// TestAMarkNoticesEveryChange: by stamps alone, and by what the kernel tells.
func TestAMarkNoticesEveryChange(t *testing.T) {
	t.Parallel()
	for _, noticed := range []bool{false, true} {
		for name, change := range changes() {
			p := newPlace(t, noticed)
			mark := p.load()
			for range 3 {
				if !mark.Unchanged() {
					t.Fatalf("noticed %v: changed before anything was", noticed)
				}
			}
			if mark.Watched() != noticed {
				t.Fatalf("watched: %v", mark.Watched())
			}
			change(p)
			if noticed {
				p.await(name)
			}
			if mark.Unchanged() {
				t.Errorf("%s, and that was not noticed", name)
			}
		}
	}
}

// await waits until the kernel has told of a change.
func (p *place) await(name string) {
	p.Helper()
	select {
	case env := <-p.told:
		if env != "acme" {
			p.Errorf("%s, and %q was told", name, env)
		}
	case <-time.After(30 * time.Second):
		p.Fatalf("%s, and nobody was told", name)
	}
}

// TestAMarkIsOfOneLoad: what somebody else reads meanwhile is not taken for read.
func TestAMarkIsOfOneLoad(t *testing.T) {
	t.Parallel()
	for _, noticed := range []bool{false, true} {
		p := newPlace(t, noticed)
		mark := p.load()
		if !mark.Unchanged() {
			t.Fatal("changed before anything was")
		}
		p.write("keys/acme/K1.json", `{"state":"prepared"}`)
		other := p.load() // of somebody else
		if mark.Unchanged() {
			t.Error("the state was changed before somebody else read it, and that was not noticed")
		}
		if !other.Unchanged() {
			t.Error("nothing has changed since the other reading")
		}
	}
}

// TestAMarkBehindLinks: the kernel tells nothing of what a link leads to.
func TestAMarkBehindLinks(t *testing.T) {
	t.Parallel()
	p := newPlace(t, true)
	p.write("keys/data/K1.json", `{"state":"active"}`)
	p.must(os.Remove(p.path("keys/acme/K1.json")))
	p.must(os.Symlink("../data/K1.json", p.path("keys/acme/K1.json")))
	mark := p.load()
	for range 2 {
		if !mark.Unchanged() || mark.Watched() {
			t.Fatal("changed before anything was, or watched")
		}
	}
	p.write("keys/data/K1.json", `{"state":"prepared"}`)
	if mark.Unchanged() {
		t.Error("what a link leads to was changed, and that was not noticed")
	}
	p.must(os.Link(p.path("keys/acme/K1.pem"), p.path("second")))
	mark = p.load()
	p.write("second", "")
	if mark.Unchanged() {
		t.Error("a file was written to under another name, and that was not noticed")
	}
}

// TestAFileThatWasJustWrittenIsReadAgain: its stamp may be that of a later write.
func TestAFileThatWasJustWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, noticed := range []bool{false, true} {
		p := newPlace(t, noticed)
		p.ahead.Store(0)
		if p.load().Unchanged() {
			t.Errorf("noticed %v: unchanged right after the files were written", noticed)
		}
	}
}

// TestWhatIsRefusedIsLookedAtAgain: there is no mark of it.
func TestWhatIsRefusedIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*place){
		"refused":   func(p *place) { p.write("keys/acme/K1.pem", "no key") },
		"no folder": func(p *place) { p.must(os.RemoveAll(p.path("keys/acme"))) },
	} {
		p := newPlace(t, true)
		spoil(p)
		_, _, mark, err := p.source.LoadMarked(t.Context(), "acme")
		if err != nil || mark != nil {
			t.Errorf("%s: a mark %v, %v", name, mark, err)
		}
	}
}

// TestFilesAreReadNowAndThenAllTheSame: in case a file system lies.
func TestFilesAreReadNowAndThenAllTheSame(t *testing.T) {
	t.Parallel()
	p := newPlace(t, true)
	mark := p.load()
	if !mark.Unchanged() {
		t.Fatal("changed before anything was")
	}
	p.ahead.Add(int64(readAgain))
	if mark.Unchanged() {
		t.Errorf("not to be read again after %s", readAgain)
	}
}

// TestWatchesOfEnvironmentsThatAreGoneEnd: nobody asks them any more.
func TestWatchesOfEnvironmentsThatAreGoneEnd(t *testing.T) {
	t.Parallel()
	p := newPlace(t, true)
	p.write("keys/globex/K1.pem", string(keystoretest.PEM(t, 1)))
	marks := map[playback.EnvironmentID]keystore.Mark{}
	for _, env := range []playback.EnvironmentID{"acme", "globex"} {
		_, _, mark, err := p.source.LoadMarked(t.Context(), env)
		p.must(err)
		if !mark.Unchanged() {
			t.Fatal("changed before anything was")
		}
		marks[env] = mark
	}
	count := func() int {
		p.source.notices.mu.Lock()
		defer p.source.notices.mu.Unlock()
		return len(p.source.notices.watches)
	}
	if n := count(); n != 2 {
		t.Fatalf("%d watches of two environments", n)
	}
	for range 11 {
		p.ahead.Add(int64(unasked / 10))
		marks["acme"] = p.load()
		if !marks["acme"].Unchanged() {
			t.Fatal("changed before anything was")
		}
		p.source.notices.look()
	}
	if n := count(); n != 1 {
		t.Errorf("%d watches, want the one that is asked", n)
	}
}
