package memory

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Config is what a Source needs.
type Config struct {
	Now func() time.Time // stamps the keys; nil: time.Now
}

// Source makes and keeps one active RSA-2048 key per environment.
type Source struct {
	now func() time.Time

	mu    sync.Mutex // guards slots; a slot makes its key outside it
	slots map[playback.EnvironmentID]*slot
}

var _ keystore.Source = (*Source)(nil)

type slot struct {
	once   sync.Once
	record keystore.Record
	err    error
}

// New returns a Source without keys.
func New(cfg Config) *Source {
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the real clock is the default
	}
	return &Source{now: cfg.Now, slots: map[playback.EnvironmentID]*slot{}}
}

// Load returns the environment's key, making it the first time (some 100 ms,
// which ctx does not cut short).
func (s *Source) Load(ctx context.Context, env playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if !env.Valid() {
		return nil, nil, fmt.Errorf("%.80q is not an environment ID", env)
	}
	s.mu.Lock()
	made := s.slots[env]
	if made == nil {
		made = &slot{}
		s.slots[env] = made
	}
	s.mu.Unlock()
	made.once.Do(func() { made.record, made.err = s.generate() })
	if made.err != nil {
		return nil, nil, made.err
	}
	return []keystore.Record{made.record}, nil, nil
}

// Close does nothing.
func (s *Source) Close() error { return nil }

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
