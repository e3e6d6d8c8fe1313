package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
	"github.com/playgate/playgate/store/postgres"
	"github.com/playgate/playgate/store/sqlite"
)

const (
	// storeTime is how long a start waits for a store that may come up beside
	// it. Without one the catalogue would be empty, and what a rule denies by
	// what it knows of an asset would be allowed: the start fails instead.
	storeTime  = 30 * time.Second
	storePause = 500 * time.Millisecond
)

// openStore returns the configured store.
func openStore(cfg *configs.Store, log *slog.Logger) (store.Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	switch cfg.Driver {
	case "memory":
		log.Warn("the store is in memory: what viewers hold, which rentals have begun and what was learned from Mux are lost when the process stops")
		return memory.New(), nil
	case "sqlite":
		return sqlite.Open(ctx, cfg.Source.Reveal())
	}
	for said := false; ; said = true {
		s, err := postgres.Open(ctx, cfg.Source.Reveal())
		if err == nil {
			return s, nil
		}
		if errors.Is(err, store.ErrSchema) {
			return nil, err
		}
		if !said {
			log.Warn("waiting for PostgreSQL", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("PostgreSQL did not answer within %s", playback.FormatDuration(storeTime)), err)
		case <-time.After(storePause):
		}
	}
}
