package app

import (
	"context"
	"os"
	"time"
)

// watchInterval is how often the configuration's files are looked at. Polling
// instead of inotify, because a file may be swapped as a whole folder behind a
// symlink (Kubernetes) or live where inotify does not reach (network mounts);
// a stat a second costs nothing.
const watchInterval = time.Second

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

func statesOf(paths []string) map[string]fileState {
	states := make(map[string]fileState, len(paths))
	for _, p := range paths {
		states[p] = stateOf(p)
	}
	return states
}

// watchFiles calls changed when any of the files that paths lists is another
// than before, and has been left alone for one interval: a file that is still
// being written is not read half. It returns when the context ends.
func watchFiles(ctx context.Context, paths func() []string, changed func()) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	settled := statesOf(paths())
	last := settled
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := statesOf(paths())
		quiet := equalStates(now, last)
		last = now
		if quiet && !equalStates(now, settled) {
			changed()
			settled = statesOf(paths()) // the new configuration may name other files
			last = settled
		}
	}
}

func equalStates(a, b map[string]fileState) bool {
	if len(a) != len(b) {
		return false
	}
	for path, state := range a {
		if other, ok := b[path]; !ok || other != state {
			return false
		}
	}
	return true
}
