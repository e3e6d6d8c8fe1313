package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

const (
	// journalName and the lock lie beside the keys; Load ignores names that
	// begin with a dot.
	journalName = ".journal.json"
	lockName    = ".lock"
	// filePerm and dirPerm leave the keys to their owner.
	filePerm = 0o600
	dirPerm  = 0o700
)

var _ keystore.Keeper = (*Source)(nil)

// Create writes a key and its state. The state comes first, so that the key is
// never there without it, and a crash in between leaves no key.
func (s *Source) Create(ctx context.Context, env playback.EnvironmentID, key keystore.NewKey) error {
	if err := key.Check(); err != nil {
		return err
	}
	return s.locked(ctx, env, func(f *folder) error {
		if f.exists(string(key.ID) + keySuffix) {
			return fmt.Errorf("creating %s: %w", key.ID, keystore.ErrExists)
		}
		if err := f.writeJSON(string(key.ID)+stateSuffix, key.Life.Document()); err != nil {
			return err
		}
		text := key.PEM
		if !bytes.HasSuffix(text, []byte("\n")) {
			text = append(slices.Clip(text), '\n')
		}
		return f.write(string(key.ID)+keySuffix, text)
	})
}

// Change rewrites the state beside a key. Members of it that the gateway does
// not know stay.
func (s *Source) Change(ctx context.Context, env playback.EnvironmentID, id playback.KeyID, change func(keystore.Life) (keystore.Life, error)) error {
	return s.locked(ctx, env, func(f *folder) error {
		if !id.Valid() || !f.exists(string(id)+keySuffix) {
			return fmt.Errorf("changing %.140q: %w", id, keystore.ErrNoKey)
		}
		name := string(id) + stateSuffix
		members := map[string]any{}
		var life keystore.Life
		document, err := f.root.ReadFile(name)
		if err == nil {
			if life, err = keystore.ParseLife(document); err == nil {
				err = json.Unmarshal(document, &members)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading the state %s: %w", f.path(name), err)
		}
		next, err := change(life)
		if err != nil {
			return err
		}
		return f.writeJSON(name, next.Over(members))
	})
}

// Delete removes a key, then its state.
func (s *Source) Delete(ctx context.Context, env playback.EnvironmentID, id playback.KeyID) error {
	if !id.Valid() {
		return nil
	}
	return s.locked(ctx, env, func(f *folder) error {
		for _, name := range []string{string(id) + keySuffix, string(id) + stateSuffix} {
			if err := f.remove(name); err != nil {
				return err
			}
		}
		return f.sync()
	})
}

// Withdrawn reports false: a key is there or gone.
func (s *Source) Withdrawn(ctx context.Context, _ playback.EnvironmentID, _ playback.KeyID) (time.Time, bool, error) {
	return time.Time{}, false, ctx.Err()
}

// Journal returns the operation under way.
func (s *Source) Journal(ctx context.Context, env playback.EnvironmentID) (keystore.Entry, bool, error) {
	if !env.Valid() {
		return keystore.Entry{}, false, fmt.Errorf("%.80q is not an environment ID", env)
	}
	if err := ctx.Err(); err != nil {
		return keystore.Entry{}, false, err
	}
	root, err := os.OpenRoot(filepath.Join(s.dir, string(env)))
	if errors.Is(err, fs.ErrNotExist) {
		return keystore.Entry{}, false, nil
	}
	if err != nil {
		return keystore.Entry{}, false, fmt.Errorf("opening key directory: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	return (&folder{root: root}).journal()
}

// OpenJournal notes an operation.
func (s *Source) OpenJournal(ctx context.Context, env playback.EnvironmentID, entry keystore.Entry) error {
	return s.locked(ctx, env, func(f *folder) error {
		if _, found, err := f.journal(); err != nil || found {
			return errors.Join(err, keystore.ErrBusy)
		}
		return f.writeJSON(journalName, entry)
	})
}

// ReplaceJournal replaces the note.
func (s *Source) ReplaceJournal(ctx context.Context, env playback.EnvironmentID, from, to keystore.Entry) error {
	return s.locked(ctx, env, func(f *folder) error {
		entry, found, err := f.journal()
		switch {
		case err != nil:
			return err
		case !found || !entry.Equal(from):
			return keystore.ErrChanged
		}
		return f.writeJSON(journalName, to)
	})
}

// CloseJournal ends the operation.
func (s *Source) CloseJournal(ctx context.Context, env playback.EnvironmentID, entry keystore.Entry) error {
	return s.locked(ctx, env, func(f *folder) error {
		current, found, err := f.journal()
		switch {
		case err != nil || !found:
			return err
		case !current.Equal(entry):
			return keystore.ErrChanged
		}
		if err := f.remove(journalName); err != nil {
			return err
		}
		return f.sync()
	})
}

// locked opens the environment's folder, making it if need be, and runs do
// while no other process of the machine does.
func (s *Source) locked(ctx context.Context, env playback.EnvironmentID, do func(*folder) error) error {
	if !env.Valid() {
		return fmt.Errorf("%.80q is not an environment ID", env)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	dir := filepath.Join(s.dir, string(env))
	if err := os.MkdirAll(dir, dirPerm); err != nil {
		return fmt.Errorf("making key directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("opening key directory: %w", err)
	}
	f := &folder{dir: dir, root: root}
	defer func() { _ = root.Close() }() // what was written is synced already
	lock, err := root.OpenFile(lockName, os.O_CREATE|os.O_RDWR, filePerm)
	if err != nil {
		return fmt.Errorf("opening the lock of the key directory: %w", err)
	}
	defer func() { _ = lock.Close() }() // gives up the lock too
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := lockFile(ctx, lock); err != nil {
		return fmt.Errorf("locking the key directory: %w", err)
	}
	return do(f)
}
