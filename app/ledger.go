package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
	"github.com/playgate/playgate/store"
)

const (
	flushEvery  = time.Second
	flushTime   = 2 * time.Second
	ledgerAsked = 2 * time.Second
)

// ledger keeps in the store what the process handed out, so that other replicas
// and the next process know of it, and asks the store what they did. The hit
// path meets the part in memory alone; the store is a second behind.
type ledger struct {
	*signingkey.MemoryLedger

	store store.Ledger
	log   *slog.Logger
	// rewinds returns how often the store went back to an earlier state, and may
	// have lost what was written.
	rewinds func() int
}

type ledgerKey struct {
	env playback.EnvironmentID
	key playback.KeyID
}

// LastExpiry returns the latest exp that any replica is known to have handed
// out.
func (l *ledger) LastExpiry(env playback.EnvironmentID, key playback.KeyID) (last time.Time, complete bool) {
	last, complete = l.MemoryLedger.LastExpiry(env, key)
	ctx, cancel := context.WithTimeout(context.Background(), ledgerAsked)
	defer cancel()
	exp, err := l.store.Expiry(ctx, env, key)
	if err != nil {
		l.log.Warn("the store does not say what was signed by a key", "environment", env, "key", key, "error", err)
	}
	if at := time.Unix(exp, 0).UTC(); exp > 0 && at.After(last) {
		last = at
	}
	return last, complete
}

// run writes down what is new until the context ends, and once more then.
func (l *ledger) run(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	written := map[ledgerKey]int64{}
	failing, rewinds := false, 0
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case <-ticker.C:
		}
		if n := l.rewinds(); n != rewinds {
			rewinds = n
			clear(written)
		}
		err := l.flush(ctx, written)
		if err != nil && !failing {
			l.log.Error("the store does not take down what is signed by which key", "error", err)
		}
		failing = err != nil
	}
}

// flush writes what is later than what was written.
func (l *ledger) flush(ctx context.Context, written map[ledgerKey]int64) error {
	var fresh []store.Expiry
	for e := range l.entries {
		if written[ledgerKey{e.Environment, e.Key}] < e.Exp {
			fresh = append(fresh, e)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := l.store.RaiseExpiries(ctx, fresh); err != nil {
		return err
	}
	for _, e := range fresh {
		written[ledgerKey{e.Environment, e.Key}] = e.Exp
	}
	return nil
}

func (l *ledger) entries(yield func(store.Expiry) bool) {
	l.Each(func(env playback.EnvironmentID, key playback.KeyID, exp int64) bool {
		return yield(store.Expiry{Environment: env, Key: key, Exp: exp})
	})
}
