package app

import (
	"context"
	"crypto/sha256"
	"maps"
	"sync"
	"time"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/fileversion"
)

const (
	// watchInterval is how often the configuration's files are looked at.
	// Polling instead of inotify, because a file may be swapped as a whole
	// folder behind a symlink (Kubernetes) or live where inotify does not reach
	// (network mounts); a stat a second costs nothing.
	watchInterval = time.Second
	// quietTime is how long files must have been left alone before they are
	// read: one that is still being written would be read half, and half a rule
	// document may be a valid one that denies less.
	quietTime = 300 * time.Millisecond
	// longestQuiet is when to read them all the same.
	longestQuiet = 3 * time.Second
)

// fileState is what is known of a file: its version, and of one that was read the
// sum of its content. The zero fileState is that of no file.
type fileState struct {
	fileversion.Version

	sum [sha256.Size]byte
}

// stateOf returns the state of a file that is not read.
func stateOf(path string) fileState {
	version, err := fileversion.Of(path)
	if err != nil {
		return fileState{}
	}
	return fileState{Version: version}
}

// fileStates are versions of files by path.
type fileStates map[string]fileState

// now returns the states of the same files as they are now. Where only the inode
// says that a file is another, its content is read to tell.
func (f fileStates) now() fileStates {
	states := make(fileStates, len(f))
	for path, before := range f {
		state := stateOf(path)
		switch {
		case state.Version == before.Version:
			state = before
		case state.Alike(before.Version):
			state.sum = sumOf(path)
		}
		states[path] = state
	}
	return states
}

// same reports whether both are the states of the same files with the same
// content.
func (f fileStates) same(other fileStates) bool {
	return maps.EqualFunc(f, other, func(a, b fileState) bool {
		return a.Version == b.Version || a.Alike(b.Version) && a.sum == b.sum
	})
}

// sumOf returns the sum of a file's content, the zero sum of one that cannot be
// read.
func sumOf(path string) [sha256.Size]byte {
	text, err := configs.ReadFile(path)
	if err != nil {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(text)
}

// fileReader reads files for one load of the configuration, each of them once,
// however many environments name it, and remembers which version it read: the
// state before reading, so that a write in between is a change that will be
// noticed.
type fileReader struct {
	seen   fileStates
	texts  map[string][]byte // shared by who asks: not to be written to
	before fileStates        // of an earlier load; nil: there was none
}

func newFileReader(before fileStates) *fileReader {
	return &fileReader{seen: fileStates{}, texts: map[string][]byte{}, before: before}
}

// sum returns the sum of a file's content. A file whose version is that of an
// earlier load is not read for it.
func (r *fileReader) sum(path string) ([sha256.Size]byte, error) {
	if known, ok := r.seen[path]; ok && known.sum != [sha256.Size]byte{} {
		return known.sum, nil
	}
	known := r.before[path]
	if state := stateOf(path); known.sum != [sha256.Size]byte{} && state.Version == known.Version {
		r.seen[path] = known
		return known.sum, nil
	}
	text, err := r.read(path)
	return sha256.Sum256(text), err
}

func (r *fileReader) read(path string) ([]byte, error) {
	if text, ok := r.texts[path]; ok {
		return text, nil
	}
	state := stateOf(path)
	text, err := configs.ReadFile(path)
	if err == nil {
		state.sum = sha256.Sum256(text)
		r.texts[path] = text
	}
	r.seen[path] = state
	return text, err
}

// watch knows which versions of which files the last load saw: those of the
// configuration in force and, where a newer one was refused, also what that one
// named. A difference asks for a reload.
type watch struct {
	mu    sync.Mutex
	known fileStates // guarded by mu
}

// loaded notes what a load saw. What a refused one did not reach stays known
// from before.
func (w *watch) loaded(seen fileStates, refused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := maps.Clone(seen)
	if refused {
		for path, state := range w.known {
			if _, ok := next[path]; !ok {
				next[path] = state
			}
		}
	}
	w.known = next
}

func (w *watch) states() fileStates {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.known)
}

// replace notes newer versions of files whose content is the same, so that it is
// not read again, unless a load saw others in the meantime.
func (w *watch) replace(before, now fileStates) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for path, state := range now {
		if known, ok := w.known[path]; ok && known == before[path] {
			w.known[path] = state
		}
	}
}

// run calls changed when a known file is another than the last load saw, and
// has been left alone for one interval. It returns when the context ends.
func (w *watch) run(ctx context.Context, changed func()) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	var last fileStates
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		known := w.states()
		now := known.now()
		switch {
		case now.same(known):
			w.replace(known, now)
		case now.same(last):
			changed()
			now = nil // what changed did is the new beginning
		}
		last = now
	}
}

// settle waits until none of the known files has been written to for quietTime,
// at most longestQuiet.
func (w *watch) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, longestQuiet)
	defer cancel()
	for {
		busy := false
		for _, state := range w.states().now() {
			age := time.Since(state.Modified())
			busy = busy || age >= 0 && age < quietTime
		}
		if !busy {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(quietTime / 4):
		}
	}
}
