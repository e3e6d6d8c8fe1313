package app

import (
	"log/slog"
	"time"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/file"
	"github.com/playgate/playgate/keystore/memory"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
	"github.com/playgate/playgate/tokencache"
)

// takeKeys puts new keys in force, and then tells the cache which of them
// follows which.
func (a *App) takeKeys(snapshot keystore.Snapshot) {
	a.ring.Update(snapshot)
	environments := snapshot.Environments()
	rotations := make([]tokencache.Rotation, len(environments))
	for i, env := range environments {
		rotations[i] = rotationOf(a.ring, env)
	}
	a.cache.SetRotations(rotations)
}

func rotationOf(ring *signer.Ring, env playback.EnvironmentID) tokencache.Rotation {
	r := tokencache.Rotation{Environment: env}
	r.Active.ID, r.Active.Thumbprint, _ = ring.Active(env)
	r.Prepared.ID, r.Prepared.Thumbprint, _ = ring.Prepared(env)
	return r
}

// fileInterval is how often key files are looked at: a listing and, where
// something changed, a read.
const fileInterval = 2 * time.Second

func refreshInterval(cfg *configs.Config) time.Duration {
	if cfg.Keystore.Driver == "vault" {
		return cfg.Keystore.Vault.RefreshInterval
	}
	return fileInterval
}

// newSource returns the configured source of keys.
func newSource(cfg *configs.Config, log *slog.Logger) (keystore.Source, error) {
	switch k := &cfg.Keystore; k.Driver {
	case "memory":
		return memory.New(memory.Config{Now: time.Now}), nil
	case "vault":
		auth := &k.Vault.Auth
		return vault.New(vault.Config{
			Address: k.Vault.Address, Namespace: k.Vault.Namespace, Mount: k.Vault.Mount, Prefix: k.Vault.Prefix,
			Auth: vault.Auth{
				Method: auth.Method, TokenFile: string(auth.TokenFile), Mount: auth.Mount, RoleID: auth.RoleID,
				RoleIDFile: string(auth.RoleIDFile), SecretIDFile: string(auth.SecretIDFile),
			},
			Logger: log, Now: time.Now,
		})
	default:
		return file.New(file.Config{Dir: string(k.File.Dir)}), nil
	}
}
