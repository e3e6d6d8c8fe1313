package app

import (
	"context"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/playgate/playgate/configs"
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

// fileState is what tells one version of a file from another.
type fileState struct {
	modified time.Time
	size     int64
	exists   bool
}

func stateOf(path string) fileState {
	info, err := os.Stat(path) // follows symlinks: the target is what matters
	if err != nil {
		return fileState{}
	}
	return fileState{info.ModTime(), info.Size(), true}
}

// fileStates are versions of files by path.
type fileStates map[string]fileState

// now returns the states of the same files as they are now.
func (f fileStates) now() fileStates {
	states := make(fileStates, len(f))
	for path := range f {
		states[path] = stateOf(path)
	}
	return states
}

// fileReader reads files for one load of the configuration, and remembers which
// version it read: the state before reading, so that a write in between is a
// change that will be noticed.
type fileReader struct{ seen fileStates }

func (r *fileReader) read(path string) ([]byte, error) {
	r.seen[path] = stateOf(path)
	return configs.ReadFile(path)
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
		if !maps.Equal(now, known) && maps.Equal(now, last) {
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
			age := time.Since(state.modified)
			busy = busy || state.exists && age >= 0 && age < quietTime
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
