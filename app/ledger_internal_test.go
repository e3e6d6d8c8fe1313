package app

import (
	"context"
	"log/slog"
	"sync/atomic"
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

// forgetful is a store that loses what it had.
type forgetful struct {
	now     atomic.Pointer[memory.Store]
	rewinds atomic.Int64
}

func (f *forgetful) forget() {
	f.now.Store(memory.New())
	f.rewinds.Add(1)
}

func (f *forgetful) RaiseExpiries(ctx context.Context, expiries []store.Expiry) error {
	return f.now.Load().RaiseExpiries(ctx, expiries)
}

func (f *forgetful) Expiry(ctx context.Context, env playback.EnvironmentID, key playback.KeyID) (int64, error) {
	return f.now.Load().Expiry(ctx, env, key)
}

// TestTheLedgerWritesAgainWhatTheStoreLost: otherwise a key could be deleted whose
// tokens are still honoured.
func TestTheLedgerWritesAgainWhatTheStoreLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		records := &forgetful{}
		records.forget()
		l := &ledger{signingkey.NewMemoryLedger(false), records, slog.New(slog.DiscardHandler), func() int { return int(records.rewinds.Load()) }}
		ctx, cancel := context.WithCancel(t.Context())
		go l.run(ctx)
		l.HandedOut("acme", "K1", 1_800_000_000)
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		records.forget()
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		if exp, err := records.Expiry(t.Context(), "acme", "K1"); err != nil || exp != 1_800_000_000 {
			t.Errorf("the store has %d, %v", exp, err)
		}
		cancel()
		synctest.Wait()
	})
}
