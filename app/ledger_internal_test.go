package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
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
