package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/file"
	"github.com/playgate/playgate/keystore/memory"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
	"github.com/playgate/playgate/tokencache"
)

// takeKeys puts an environment's new keys in force, and then tells the cache
// which of them follows which.
func (a *App) takeKeys(env playback.EnvironmentID, set keystore.Keyset) {
	a.ring.Set(env, set)
	a.cache.SetRotation(a.rotationOf(env, set))
}

func (a *App) rotationOf(env playback.EnvironmentID, set keystore.Keyset) tokencache.Rotation {
	r := tokencache.Rotation{Environment: env}
	r.Active.ID, r.Active.Thumbprint, _ = a.ring.Active(env)
	r.Prepared.ID, r.Prepared.Thumbprint, _ = a.ring.Prepared(env)
	for _, key := range set.Keys {
		if key.ID == r.Prepared.ID {
			r.Activation = a.activation(env, set, key)
		}
	}
	return r
}

// activation returns when a prepared key becomes active: when the schedule says
// so, or as soon as an operator may.
func (a *App) activation(env playback.EnvironmentID, set keystore.Keyset, key *keystore.Key) time.Time {
	if step := a.rotation.manager.NextStep(env, set); step.Action == signingkey.Activation && step.Key == key.ID {
		return step.At
	}
	if e := a.state.Load().configured[env]; e != nil {
		return termsOf(e).ReadyAt(key.Life())
	}
	return time.Time{}
}

func refreshInterval(cfg *configs.Config) time.Duration {
	if cfg.Keystore.Driver == "vault" {
		return cfg.Keystore.Vault.RefreshInterval
	}
	return configs.FileInterval
}

// newKeeper returns the configured key store of a gateway, whose Vault is asked
// by a clock that is never set. Files are dated by the system's clock, whatever
// it says.
func (a *App) newKeeper(cfg *configs.Config) (keystore.Keeper, error) {
	return newKeeper(cfg, a.log, keeperClocks{a.clock.Now, a.clock.Steady})
}

// keeperClocks are the time of day, and a clock that is never set.
type keeperClocks struct{ now, steady func() time.Time }

// newKeeper returns the configured key store.
func newKeeper(cfg *configs.Config, log *slog.Logger, clocks keeperClocks) (keystore.Keeper, error) {
	switch k := &cfg.Keystore; k.Driver {
	case "memory":
		return memory.New(memory.Config{Now: clocks.now}), nil
	case "vault":
		auth := &k.Vault.Auth
		return vault.New(vault.Config{
			Address: k.Vault.Address, CAFile: string(k.Vault.CAFile), Namespace: k.Vault.Namespace,
			Mode: k.Vault.Mode, Mount: k.Vault.Mount, Prefix: k.Vault.Prefix, TransitMount: k.Vault.TransitMount,
			Auth: vault.Auth{
				Method: auth.Method, TokenFile: string(auth.TokenFile), Mount: auth.Mount, Role: auth.Role,
				RoleID: auth.RoleID, RoleIDFile: string(auth.RoleIDFile),
				SecretIDFile: string(auth.SecretIDFile), WrappedSecretIDFile: string(auth.WrappedSecretIDFile),
				JWTFile: string(auth.JWTFile), CertFile: string(auth.CertFile), KeyFile: string(auth.KeyFile),
			},
			Logger: log, Now: clocks.steady,
		})
	default:
		return file.New(file.Config{Dir: string(k.File.Dir), Strict: k.File.StrictPermissions, Now: time.Now}), nil
	}
}

// manage makes the rooms that change keys.
func (a *App) manage(keeper keystore.Keeper, ledger signingkey.Ledger, registry *prometheus.Registry) *signingkey.Manager {
	manager := signingkey.NewManager(signingkey.Config{
		Keeper: keeper, Settings: a.settings, Ledger: ledger, Environments: func() []playback.EnvironmentID { return a.state.Load().environments },
		Changed: a.keys.Refresh, Audit: a.logs.Records(), Now: a.clock.Now,
	})
	a.rotation = newRotation(&rotation{
		manager: manager, log: a.log, keys: a.keys, inForce: a.state.Load, now: a.clock.Now,
	}, registry)
	a.recovery = &recovery{
		manager: manager, inForce: a.state.Load, log: a.log, now: a.clock.Steady,
		silent: func(env playback.EnvironmentID) bool { _, failing := a.keys.LastRead(env); return failing },
	}
	registry.MustRegister(&signingLeft{a, prometheus.NewDesc("playgate_key_signing_left_seconds",
		"Seconds for which a token signed now is sure to be honoured, even if the key store does not answer any more; 0: the environment cannot sign.",
		[]string{"environment"}, nil)})
	return manager
}

// settings returns those of an environment's keys in force.
func (a *App) settings(env playback.EnvironmentID) (signingkey.Settings, bool) {
	e := a.state.Load().configured[env]
	if e == nil {
		return signingkey.Settings{}, false
	}
	settings, err := a.muxes.settings(e)
	if err != nil {
		a.log.ErrorContext(context.Background(), "Mux's API cannot be asked", "environment", env, "error", err)
	}
	return settings, true
}

// keepRetired returns how long a retired key of an environment is published.
func (s *state) keepRetired(env playback.EnvironmentID, key *keystore.Key) time.Duration {
	e := s.configured[env]
	if e == nil {
		return 0
	}
	return termsOf(e).KeepFor(key.Life())
}

// signingLeft is a metric of the moment: for how long tokens that are signed
// now are sure to be honoured. While the key store answers, that is max_ttl.
// While it does not, another replica may have replaced the key at once, and may
// delete it max_ttl later; a key that stays in Vault cannot sign at all.
type signingLeft struct {
	app         *App
	description *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (s *signingLeft) Describe(out chan<- *prometheus.Desc) { out <- s.description }

// Collect implements prometheus.Collector.
func (s *signingLeft) Collect(out chan<- prometheus.Metric) {
	keys, state := s.app.keys, s.app.state.Load()
	for _, env := range state.environments {
		left := time.Duration(0)
		read, failing := keys.LastRead(env)
		if key, ok := keys.Keyset(env).Active(); ok && (!failing || key.Remote == nil) {
			left = max(0, read.Add(state.configured[env].Token.MaxTTL).Sub(s.app.clock.Steady()))
		}
		out <- prometheus.MustNewConstMetric(s.description, prometheus.GaugeValue, left.Seconds(), string(env))
	}
}
