package memory

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Config is what a Source needs.
type Config struct {
	Now func() time.Time // stamps the keys; nil: time.Now
}

// Source makes one active RSA-2048 key per environment, and keeps the keys.
type Source struct {
	now func() time.Time

	mu    sync.Mutex // guards slots; a slot makes its key outside it
	slots map[playback.EnvironmentID]*slot
}

var _ keystore.Keeper = (*Source)(nil)

type slot struct {
	once sync.Once
	err  error // of making the first key; written once

	mu      sync.Mutex // guards what follows
	records []keystore.Record
	journal *keystore.Entry // nil: no operation is under way
}

// New returns a Source without keys.
func New(cfg Config) *Source {
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the real clock is the default
	}
	return &Source{now: cfg.Now, slots: map[playback.EnvironmentID]*slot{}}
}

// Load returns the environment's keys, making the first one the first time
// (some 100 ms, which ctx does not cut short).
func (s *Source) Load(ctx context.Context, env playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, error) {
	e, err := s.slot(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.records), nil, nil
}

// Close does nothing.
func (s *Source) Close() error { return nil }

// slot returns what is kept of an environment, with its first key.
func (s *Source) slot(ctx context.Context, env playback.EnvironmentID) (*slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !env.Valid() {
		return nil, fmt.Errorf("%.80q is not an environment ID", env)
	}
	s.mu.Lock()
	e := s.slots[env]
	if e == nil {
		e = &slot{}
		s.slots[env] = e
	}
	s.mu.Unlock()
	e.once.Do(func() {
		first, err := s.generate()
		if e.err = err; err == nil {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.records = append(e.records, first)
		}
	})
	return e, e.err
}

func (s *Source) generate() (keystore.Record, error) {
	private, err := rsa.GenerateKey(rand.Reader, keystore.MinBits)
	if err != nil {
		return keystore.Record{}, fmt.Errorf("generating key: %w", err)
	}
	thumbprint, now := keystore.ThumbprintOf(&private.PublicKey), s.now().UTC()
	return keystore.Record{Key: keystore.Key{
		ID: playback.KeyID(hex.EncodeToString(thumbprint[:16])), State: keystore.Active,
		CreatedAt: now, ActivatedAt: now,
		Private: private, Thumbprint: thumbprint, Origin: "memory",
	}}, nil
}
