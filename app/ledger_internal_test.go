package app

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
)

func TestTheLedgerOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	records := memory.New()
	replica := func() *ledger {
		return &ledger{signingkey.NewMemoryLedger(false), records, slog.New(slog.DiscardHandler), func() int { return 0 }}
	}
	first := replica()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { first.run(ctx); close(done) }()
	first.HandedOut("acme", "K1", 1_800_000_000)
	first.HandedOut("acme", "K1", 1_700_000_000)
	first.HandedOut("acme", "K2", 1_700_000_000)
	cancel()
	<-done
	second := replica()
	second.HandedOut("acme", "K2", 1_750_000_000)
	for key, want := range map[playback.KeyID]int64{"K1": 1_800_000_000, "K2": 1_750_000_000} {
		if last, complete := second.LastExpiry("acme", key); !last.Equal(time.Unix(want, 0)) || complete {
			t.Errorf("%s: %s, complete: %v", key, last, complete)
		}
	}
	if last, _ := second.LastExpiry("acme", "K3"); !last.IsZero() {
		t.Errorf("a key that has signed nothing: %s", last)
	}
}

// forgetful is a store that lost what it had.
type forgetful struct {
	store.Ledger

	rewinds int
}

// TestTheLedgerWritesAgainWhatTheStoreLost: otherwise a key could be deleted whose
// tokens are still honoured.
func TestTheLedgerWritesAgainWhatTheStoreLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		records := &forgetful{Ledger: memory.New()}
		l := &ledger{signingkey.NewMemoryLedger(false), records, slog.New(slog.DiscardHandler), func() int { return records.rewinds }}
		ctx, cancel := context.WithCancel(t.Context())
		go l.run(ctx)
		l.HandedOut("acme", "K1", 1_800_000_000)
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		records.Ledger = memory.New()
		records.rewinds++
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		if exp, err := records.Expiry(t.Context(), "acme", "K1"); err != nil || exp != 1_800_000_000 {
			t.Errorf("the store has %d, %v", exp, err)
		}
		cancel()
		synctest.Wait()
	})
}
