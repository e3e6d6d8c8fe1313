package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Config is what a Source needs.
type Config struct {
	// Dir holds one directory per environment.
	Dir string
}

// Source reads and writes key files. Make one with New.
type Source struct {
	dir string

	// writing is held by whoever writes, before the lock file is taken.
	writing sync.Mutex

	mu   sync.Mutex // guards seen; the maps in it are immutable
	seen map[playback.EnvironmentID]map[playback.KeyID]look
}

// look is what came of one key at the last Load.
type look struct {
	sum    [sha256.Size]byte // of everything the record was made from
	record keystore.Record
}

// New returns a Source that reads cfg.Dir. It does no I/O.
func New(cfg Config) *Source {
	return &Source{dir: cfg.Dir, seen: map[playback.EnvironmentID]map[playback.KeyID]look{}}
}

// Close does nothing.
func (s *Source) Close() error { return nil }

// Load reads the environment's keys. The error means that the directory, or
// something in it, cannot be read for a reason that is likely to pass; an
// environment without a directory has no keys, with a Problem.
func (s *Source) Load(ctx context.Context, env playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, error) {
	if !env.Valid() {
		return nil, nil, fmt.Errorf("%.80q is not an environment ID", env)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	// Opened each time: the directory may be a link that was swapped.
	root, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("the key directory does not exist (keystore.file.dir): %w", err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening key directory: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	p := pass{dir: filepath.Join(s.dir, string(env)), root: root, env: env, last: s.recall(env), now: map[playback.KeyID]look{}}
	if err := p.run(ctx); err != nil {
		return nil, nil, err
	}
	s.remember(env, p.now)
	return p.records, p.problems, nil
}

func (s *Source) recall(env playback.EnvironmentID) map[playback.KeyID]look {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[env]
}

func (s *Source) remember(env playback.EnvironmentID, looks map[playback.KeyID]look) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[env] = looks
}
