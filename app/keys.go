package app

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/file"
	"github.com/playgate/playgate/keystore/memory"
	"github.com/playgate/playgate/keystore/vault"
)

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
func newSource(cfg *configs.Config, log *slog.Logger, registry prometheus.Registerer) (keystore.Source, error) {
	switch k := &cfg.Keystore; k.Driver {
	case "memory":
		return memory.New(memory.Config{Now: time.Now}), nil
	case "vault":
		return vault.New(vault.Config{
			Address: k.Vault.Address, Namespace: k.Vault.Namespace, Mount: k.Vault.Mount, Prefix: k.Vault.Prefix,
			Logger: log, Registerer: registry,
		})
	default:
		return file.New(file.Config{Dir: string(k.File.Dir)}), nil
	}
}
