package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestCleanupsRunLastToFirstAndErrorsJoin(t *testing.T) {
	t.Parallel()
	var l lifecycle
	var order []string
	first, second := errors.New("first broke"), errors.New("second broke")
	l.onStop("one", func(context.Context) error { order = append(order, "one"); return first })
	l.onStop("two", func(context.Context) error { order = append(order, "two"); return second })
	err := l.undo(context.Background())
	if !errors.Is(err, first) || !errors.Is(err, second) || !strings.Contains(err.Error(), "stopping two") {
		t.Errorf("undo = %v", err)
	}
	if got := strings.Join(order, " "); got != "two one" {
		t.Errorf("order = %s", got)
	}
	if err := l.undo(context.Background()); err != nil {
		t.Errorf("second undo = %v", err)
	}
}

func TestWatchNoticesSettledChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, later := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "later.yaml")
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// swap changes the content, and neither the size nor the time.
	swap := func(path, text string, replace func(from, to string) error) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		next := path + ".next"
		put(next, text)
		err = errors.Join(os.Chtimes(next, info.ModTime(), info.ModTime()), replace(next, path), os.Chtimes(path, info.ModTime(), info.ModTime()))
		if err != nil {
			t.Fatal(err)
		}
	}
	overwrite := func(from, to string) error {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o600)
	}
	put(file, "1")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var w watch
		refused := false
		load := func() { // what a load does: read both, and remember the versions
			r := newFileReader(nil)
			_, _ = r.read(file)
			_, _ = r.read(later)
			w.loaded(r.seen, refused)
		}
		load()
		put(file, "changed before anybody watches")
		var changes atomic.Int64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.run(ctx, func() { changes.Add(1); load() })
		}()
		expect := func(want int64, why string) {
			t.Helper()
			time.Sleep(4 * watchInterval)
			synctest.Wait()
			if got := changes.Load(); got != want {
				t.Errorf("%s: %d changes, want %d", why, got, want)
			}
		}
		expect(1, "a change between reading and watching")
		put(file, "22")
		expect(2, "a changed file")
		put(later, "")
		expect(3, "a file that was missing")
		refused = true
		put(later, "broken")
		expect(4, "a file that is refused is read once")
		put(later, "mended!")
		expect(5, "and again when it is mended")
		refused = false
		swap(file, "33", os.Rename)
		expect(6, "a file that is replaced by one of the same size and time")
		swap(file, "33", os.Rename)
		expect(6, "a file that is replaced by a copy of itself")
		swap(file, "44", overwrite)
		expect(7, "a file that is overwritten, its time set back")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		expect(8, "a file that is gone")
		cancel()
		<-ended
	})
}
