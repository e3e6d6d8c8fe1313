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
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Config is what a Source needs.
type Config struct {
	// Dir holds one directory per environment.
	Dir string
	// Strict refuses what else is a warning: a key that others may read.
	Strict bool
	Now    func() time.Time // nil: time.Now
}

// Source reads and writes key files. Make one with New.
type Source struct {
	dir     string
	strict  bool
	now     func() time.Time
	notices *notices

	// writing is held by whoever writes, before the lock file is taken.
	writing sync.Mutex

	mu   sync.Mutex // guards seen; the maps in it are immutable
	seen map[playback.EnvironmentID]map[playback.KeyID]look
}

// look is what came of one key at the last Load.
type look struct {
	sum    [sha256.Size]byte // of everything the record was made from
	record keystore.Record
	unread string // which members of the state nothing reads
}

// New returns a Source that reads cfg.Dir. It does no I/O.
func New(cfg Config) *Source {
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one default
	}
	return &Source{
		dir: cfg.Dir, strict: cfg.Strict, now: cfg.Now, notices: newNotices(cfg.Dir, cfg.Now),
		seen: map[playback.EnvironmentID]map[playback.KeyID]look{},
	}
}

// Close ends the kernel's notices of changes.
func (s *Source) Close() error { return s.notices.close() }

// Load reads the environment's keys. The error means that the directory, or
// something in it, cannot be read for a reason that is likely to pass; an
// environment without a directory has no keys, with a Problem, unless it had
// some: a directory that is not there is hardly a withdrawal of all of them.
func (s *Source) Load(ctx context.Context, env playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, error) {
	p := &pass{}
	err := s.load(ctx, env, p)
	if err != nil {
		return nil, nil, err
	}
	return p.records, p.problems, nil
}

// LoadMarked is Load with a mark. There is none where the file system may not
// know of changes, nor of what must be looked at again anyway: a file that is
// refused, or was for a moment.
func (s *Source) LoadMarked(ctx context.Context, env playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, keystore.Mark, error) {
	p := &pass{}
	if env.Valid() {
		p.mark = s.newMark(env)
	}
	if err := s.load(ctx, env, p); err != nil {
		return nil, nil, nil, err
	}
	if p.mark == nil || p.unsure {
		return p.records, p.problems, nil, nil
	}
	return p.records, p.problems, p.mark, nil
}

// Notify says who is told of changes.
func (s *Source) Notify(changed func(playback.EnvironmentID)) { s.notices.notify(changed) }

func (s *Source) load(ctx context.Context, env playback.EnvironmentID, p *pass) error {
	if !env.Valid() {
		return fmt.Errorf("%.80q is not an environment ID", env)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// Opened each time: the directory may be a link that was swapped.
	root, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the key directory does not exist (keystore.file.dir): %w", err)
	}
	if err != nil {
		return fmt.Errorf("opening key directory: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	p.dir, p.root, p.env, p.last, p.now = filepath.Join(s.dir, string(env)), root, env, s.recall(env), map[playback.KeyID]look{}
	p.strict, p.directories = s.strict, map[string]error{}
	if err := p.run(ctx); err != nil {
		return err
	}
	s.remember(env, p.now)
	return nil
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
