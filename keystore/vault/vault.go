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
	notes   *notes   // of what client has been told
	transit *transit // nil in KVMode
	// versioned is set once the mount has proved to be KV version 2.
	versioned atomic.Bool

	mu   sync.Mutex // guards seen; the maps in it are immutable
	seen map[playback.EnvironmentID]map[playback.KeyID]look
}

var _ keystore.Source = (*Source)(nil)

// New returns a Source. It reads Config.CAFile and does no other I/O; the first
// Load logs in.
func New(cfg Config) (*Source, error) {
	cfg.setDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, notes: &notes{now: cfg.Now}, seen: map[playback.EnvironmentID]map[playback.KeyID]look{}}
	var err error
	if s.client, err = newClient(&cfg, traffic{timeout: cfg.Timeout, retries: 1, connections: 4, notes: s.notes}); err != nil {
		return nil, err
	}
	// A connection made for each log-in shows the client certificate of the day.
	logins, err := newClient(&cfg, traffic{timeout: cfg.Timeout, retries: 1, notes: s.notes})
	if err != nil {
		return nil, err
	}
	s.session = newSession(s.client, logins, &cfg)
	if cfg.Mode == TransitMode {
		if s.transit, err = newTransit(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close stops renewing the token and waits for it, up to Timeout.
func (s *Source) Close() error {
	s.session.close()
	return nil
}

// Load reads the environment's keys. The error means that Vault did not answer,
// or refused: it is down, sealed, overloaded, the token may not list the keys,
// the mount is missing or no KV version 2. A clock that differs much from
// Vault's is a Problem.
func (s *Source) Load(ctx context.Context, env playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, error) {
	if !env.Valid() {
		return nil, nil, fmt.Errorf("%.80q is not an environment ID", env)
	}
	if wait := s.notes.wait(); wait > 0 {
		return nil, nil, quietError{wait}
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
		return nil, nil, s.explain(err)
	}
	s.remember(env, p.now)
	return p.records, append(p.problems, s.notes.skewed(s.cfg.Address)...), nil
}

// explain adds what may be wrong when Vault refuses a request without a token.
func (s *Source) explain(err error) error {
	if s.session.method == nil && forbidden(err) {
		return fmt.Errorf("%w; no token is sent, because auth.token_file is empty: is %s a Vault Agent or Proxy with auto-auth?", err, s.cfg.Address)
	}
	return err
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
