package file

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/playgate/playgate/keystore"
)

// folder is an environment's directory while it is written to.
type folder struct {
	dir  string // for people
	root *os.Root
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// exists reports whether there is such a name, whatever it links to.
func (f *folder) exists(name string) bool {
	_, err := f.root.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// write replaces a file at once: whoever reads it sees the old content or the
// new, also after a crash.
func (f *folder) write(name string, content []byte) (err error) {
	temporary := temporaryPrefix + rand.Text()
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", f.path(name), err), f.remove(temporary))
		}
	}()
	mode := fs.FileMode(filePerm)
	if last, err := f.root.Stat(name); err == nil {
		mode = last.Mode().Perm()
	}
	file, err := f.root.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, filePerm)
	if err != nil {
		return err
	}
	if mode != filePerm {
		err = file.Chmod(mode)
	}
	if err = errors.Join(err, f.own(file)); err == nil {
		_, err = file.Write(content)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := f.root.Rename(temporary, name); err != nil {
		return err
	}
	return f.sync()
}

// own gives a new file to whom the directory belongs: root writes for a gateway
// that is not root.
func (f *folder) own(file *os.File) error {
	dir, err := f.root.Stat(".")
	if err != nil {
		return err
	}
	return ownLike(dir, file)
}

// tidy removes what a crash in the middle of write has left. Nobody else may be
// writing.
func (f *folder) tidy() error {
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // only read from
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		if strings.HasPrefix(name, temporaryPrefix) {
			err = errors.Join(err, f.remove(name))
		}
	}
	return err
}

func (f *folder) writeJSON(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.path(name), err)
	}
	return f.write(name, append(text, '\n'))
}

// remove removes a file; none is no error.
func (f *folder) remove(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", f.path(name), err)
	}
	return nil
}

// sync makes names durable.
func (f *folder) sync() error {
	dir, err := f.root.Open(".")
	if err != nil {
		return fmt.Errorf("syncing key directory: %w", err)
	}
	defer func() { _ = dir.Close() }() // only synced
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("syncing key directory: %w", err)
	}
	return nil
}

func (f *folder) journal() (keystore.Entry, bool, error) {
	text, err := f.root.ReadFile(journalName)
	if errors.Is(err, fs.ErrNotExist) {
		return keystore.Entry{}, false, nil
	}
	var entry keystore.Entry
	if err == nil {
		err = json.Unmarshal(text, &entry)
	}
	if err != nil {
		return keystore.Entry{}, false, fmt.Errorf("reading the journal %s: %w", f.path(journalName), err)
	}
	return entry, true, nil
}
