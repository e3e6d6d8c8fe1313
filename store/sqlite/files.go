package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/playgate/playgate/store"
)

// files are the files that a store was opened with. SQLite goes on with them when
// their names lead to nothing or to other files, and what it writes then is lost
// when the process ends.
type files struct {
	database watched
	log      atomic.Pointer[[2]watched] // nil until addLog
}

// watched is a file under a name.
type watched struct {
	path string
	info os.FileInfo
}

func watch(path string) (watched, error) {
	info, err := os.Stat(path)
	return watched{path, info}, err
}

func newFiles(path string) (*files, error) {
	database, err := watch(path)
	return &files{database: database}, err
}

// addLog adds the write-ahead log and its index, which are there while there is a
// connection: beside the file itself, where its name is a link.
func (f *files) addLog() error {
	path, err := filepath.EvalSymlinks(f.database.path)
	if err != nil {
		return err
	}
	var log [2]watched
	for i, suffix := range []string{"-wal", "-shm"} {
		if log[i], err = watch(path + suffix); err != nil {
			return err
		}
	}
	f.log.Store(&log)
	return nil
}

// check returns store.ErrNotWritable if a file is no longer the one that its name
// leads to.
func (f *files) check() error {
	if err := f.database.check(); err != nil {
		return err
	}
	if log := f.log.Load(); log != nil {
		return errors.Join(log[0].check(), log[1].check())
	}
	return nil
}

func (w *watched) check() error {
	info, err := os.Stat(w.path)
	switch {
	case err != nil:
		return fmt.Errorf("%w: the file that was opened as %s was removed or moved: put it back, or restart the gateway (%w)", store.ErrNotWritable, w.path, err)
	case !os.SameFile(w.info, info):
		return fmt.Errorf("%w: the file that was opened as %s was replaced by another one: restart the gateway to use that one", store.ErrNotWritable, w.path)
	}
	return nil
}
