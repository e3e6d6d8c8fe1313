package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

// offlineTimeout bounds how long a command waits for keys.
const offlineTimeout = 20 * time.Second

// Offline is a configuration and its keys, read once, without a server: what
// the token commands work with.
type Offline struct {
	state *state
	ring  *signer.Ring
	keys  keystore.Snapshot
	// problems are those of the keys that were read.
	problems map[playback.EnvironmentID][]keystore.Problem
}

// OpenOffline reads a configuration and the keys of one environment, or of all
// if env is "".
func OpenOffline(ctx context.Context, path string, environ []string, env playback.EnvironmentID) (*Offline, error) {
	s, _, err := load(path, environ, new(inherited))
	if err != nil {
		return nil, err
	}
	cfg := s.loaded.Config
	if cfg.Keystore.Driver == "memory" {
		return nil, errors.New("keystore.driver: memory keeps its keys inside the running gateway, so there are none to use offline")
	}
	if env != "" {
		if _, ok := s.minting[env]; !ok {
			return nil, noEnvironment(cfg, env)
		}
		s.environments = []playback.EnvironmentID{env}
	}
	backend, err := signer.OpenBackend(cfg.Signer.Backend, time.Now)
	if err != nil {
		return nil, fmt.Errorf("opening the signer: %w", err)
	}
	o := &Offline{state: s, problems: map[playback.EnvironmentID][]keystore.Problem{}, ring: signer.NewRing(signer.RingConfig{Backend: backend, Now: time.Now, KeepRetired: s.keepRetired})}
	return o, o.loadKeys(ctx, cfg)
}

func (o *Offline) loadKeys(ctx context.Context, cfg *configs.Config) error {
	ctx, cancel := context.WithTimeout(ctx, offlineTimeout)
	defer cancel()
	source, err := newKeeper(cfg, slog.New(slog.DiscardHandler), keeperClocks{time.Now, time.Now})
	if err != nil {
		return fmt.Errorf("opening the key store: %w", err)
	}
	sets := map[playback.EnvironmentID]keystore.Keyset{}
	for _, env := range o.state.environments {
		set, problems, err := keystore.Load(ctx, source, env)
		if err != nil {
			return errors.Join(fmt.Errorf("environment %s: %w", env, err), source.Close())
		}
		sets[env], o.problems[env] = set, problems
	}
	o.keys = keystore.NewSnapshot(sets)
	o.ring.Update(o.keys)
	return source.Close()
}

// Problems returns what is wrong with an environment's keys.
func (o *Offline) Problems(env playback.EnvironmentID) []keystore.Problem { return o.problems[env] }

// noActiveKey says why an environment cannot sign, one line a key.
func (o *Offline) noActiveKey(env playback.EnvironmentID) error {
	reasons := []error{fmt.Errorf("environment %s has no active signing key", env)}
	for _, p := range o.problems[env] {
		if !p.Warning {
			reasons = append(reasons, errors.New(p.String()))
		}
	}
	for _, key := range o.keys.Keyset(env).Keys {
		switch key.State {
		case keystore.Prepared:
			reasons = append(reasons, fmt.Errorf("%s: is prepared, and signs once it is activated: playgate keys activate %s", key.Origin, key.ID))
		case keystore.Retired:
			reasons = append(reasons, fmt.Errorf("%s: is retired, and signs no more", key.Origin))
		case keystore.Active, keystore.Stateless: // not without an active key
		}
	}
	return errors.Join(reasons...)
}

// Environments returns the environments that were read.
func (o *Offline) Environments() []playback.EnvironmentID { return o.state.environments }

// PublicKeys returns an environment's published keys.
func (o *Offline) PublicKeys(env playback.EnvironmentID) signer.PublicKeys {
	return o.ring.PublicKeys(env)
}

// SignRequest is what `token sign` asks for.
type SignRequest struct {
	Environment playback.EnvironmentID
	PlaybackID  playback.ID
	VideoID     playback.VideoID // in place of PlaybackID, for stats_video
	Type        playback.TokenType
	TTL         time.Duration // 0: the environment's default_ttl; capped at max_ttl
	Params      playback.Params
}

// Sign signs one token with the environment's active key. It asks no rules:
// whoever can read the key can sign what they like.
func (o *Offline) Sign(ctx context.Context, req SignRequest, now time.Time) (playback.Token, error) {
	env, ok := o.state.minting[req.Environment]
	if !ok {
		return playback.Token{}, fmt.Errorf("there is no environment %.80q", req.Environment)
	}
	sub, err := subjectOf(env, req)
	if err != nil {
		return playback.Token{}, err
	}
	key, thumbprint, ok := o.ring.Active(req.Environment)
	if !ok {
		return playback.Token{}, o.noActiveKey(req.Environment)
	}
	ttl := req.TTL
	if ttl == 0 {
		ttl = env.DefaultTTL
	}
	pool := signer.NewPool(signer.Config{Ring: o.ring, Concurrency: 1, Now: time.Now})
	defer pool.Stop()
	return pool.Sign(ctx, &playback.Claims{
		Environment: req.Environment, Key: key, Thumbprint: thumbprint, Kid: env.Kid,
		Sub: sub, Aud: req.Type.Aud(), Params: req.Params, Exp: now.Add(min(ttl, env.MaxTTL)).Unix(),
	}, playback.Turn{Caller: "cli"})
}

func subjectOf(env *issuer.Environment, req SignRequest) (string, error) {
	if req.VideoID != "" {
		return string(req.VideoID), nil
	}
	object, known := env.Catalogue.Lookup(req.PlaybackID)
	if !known {
		unknown := playback.Unknown(req.PlaybackID)
		object = &unknown
	}
	if !object.NeedsToken(req.Type) {
		return "", fmt.Errorf("playback ID %s is public: Mux refuses a token on it", req.PlaybackID)
	}
	sub, ok := object.Subject(req.Type)
	switch {
	case ok:
		return sub, nil
	case req.Type == playback.DRMLicense:
		return "", fmt.Errorf("playback ID %s has no %s token: its policy is %s", req.PlaybackID, req.Type, object.Policy)
	}
	return "", fmt.Errorf("playback ID %s has no %s token: the catalogue names no such object behind it", req.PlaybackID, req.Type)
}
