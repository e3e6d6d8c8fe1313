package vault

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Source reads signing keys from Vault. Make one with New.
type Source struct {
	cfg     Config
	client  *api.Client
	session *session
	// versioned is set once the mount has proved to be KV version 2.
	versioned atomic.Bool

	mu   sync.Mutex // guards seen; the maps in it are immutable
	seen map[playback.EnvironmentID]map[playback.KeyID]look
}

var _ keystore.Source = (*Source)(nil)

// New returns a Source. It does no I/O; the first Load logs in.
func New(cfg Config) (*Source, error) {
	cfg.setDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	client, err := newClient(&cfg)
	if err != nil {
		return nil, err
	}
	logins, err := newClient(&cfg)
	if err != nil {
		return nil, err
	}
	return &Source{
		cfg: cfg, client: client, session: newSession(client, logins, &cfg),
		seen: map[playback.EnvironmentID]map[playback.KeyID]look{},
	}, nil
}

// Close stops renewing the token and waits for it, up to Timeout.
func (s *Source) Close() error {
	s.session.close()
	return nil
}

// Load reads the environment's keys. The error means that Vault did not answer,
// or refused: it is down, sealed, overloaded, the token may not list the keys,
// the mount is missing or no KV version 2.
func (s *Source) Load(ctx context.Context, env playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, error) {
	if !env.Valid() {
		return nil, nil, fmt.Errorf("%.80q is not an environment ID", env)
	}
	if err := s.session.ensure(ctx); err != nil {
		return nil, nil, err
	}
	token := s.client.Token()
	p, err := s.pass(ctx, env)
	if p.denied {
		fresh, failure := s.session.replace(ctx, token)
		switch {
		case fresh:
			p, err = s.pass(ctx, env)
		case failure != nil && err != nil:
			err = fmt.Errorf("%w; then %w", err, failure)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	s.remember(env, p.now)
	return p.records, p.problems, nil
}

// pass looks at all keys of an environment once.
func (s *Source) pass(ctx context.Context, env playback.EnvironmentID) (*pass, error) {
	p := &pass{source: s, env: env, last: s.recall(env), now: map[playback.KeyID]look{}}
	return p, p.run(ctx)
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
