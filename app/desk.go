package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
	"github.com/playgate/playgate/telemetry"
)

// KeyDesk is where an operator changes the keys of one environment, without a
// running gateway. Gateways see the changes when they next look.
type KeyDesk struct {
	*signingkey.Manager
	Environment playback.EnvironmentID
	Settings    signingkey.Settings
	keeper      keystore.Keeper
}

// OpenKeys opens the keys of an environment for changes. Records of what is
// done go to audit, as log.format says. Close it.
func OpenKeys(path string, environ []string, env playback.EnvironmentID, audit io.Writer) (*KeyDesk, error) {
	s, _, err := load(path, environ, new(inherited))
	if err != nil {
		return nil, err
	}
	cfg := s.loaded.Config
	if cfg.Keystore.Driver == "memory" {
		return nil, errors.New("keystore.driver: memory keeps its keys inside the running gateway: use its API (/v1/signing-keys, /system/v1/signing-keys)")
	}
	e := s.configured[env]
	if e == nil {
		return nil, noEnvironment(cfg, env)
	}
	settings, err := newMuxClients().settings(e)
	if err != nil {
		return nil, err
	}
	keeper, err := newKeeper(cfg, slog.New(slog.DiscardHandler), keeperClocks{time.Now, time.Now})
	if err != nil {
		return nil, fmt.Errorf("opening the key store: %w", err)
	}
	return &KeyDesk{
		Environment: env, Settings: settings, keeper: keeper,
		Manager: signingkey.NewManager(signingkey.Config{
			Keeper: keeper, Environments: func() []playback.EnvironmentID { return s.environments }, Now: time.Now, Audit: telemetry.NewLogger(audit, cfg.Log.Format),
			Settings: func(id playback.EnvironmentID) (signingkey.Settings, bool) { return settings, id == env },
		}),
	}, nil
}

// Close frees what the desk holds.
func (d *KeyDesk) Close() error { return d.keeper.Close() }

// Problems returns what is wrong with the environment's keys, and which
// operation is under way or was interrupted.
func (d *KeyDesk) Problems(ctx context.Context) ([]keystore.Problem, error) {
	_, problems, err := keystore.Load(ctx, d.keeper, d.Environment)
	if err != nil {
		return problems, err
	}
	// Who may only read the keys may not be allowed to read the journal.
	if entry, found, err := d.keeper.Journal(ctx, d.Environment); err == nil && found {
		problems = append(problems, keystore.Problem{
			Path: "journal", Warning: true,
			Reason: fmt.Sprintf("%s, since %s by %s, is under way or was interrupted; a gateway or the next change finishes or undoes it",
				entry.Operation, entry.StartedAt.UTC().Format(time.RFC3339), entry.Host),
		})
	}
	return problems, nil
}
