package signingkey_test

import (
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/signingkey"
)

func TestTheLedgerKeepsTheLatestExpiryOfEachKey(t *testing.T) {
	for _, complete := range []bool{false, true} {
		l := signingkey.NewMemoryLedger(complete)
		if last, all := l.LastExpiry("acme", "K1"); !last.IsZero() || all != complete {
			t.Errorf("of nothing: %v, %v", last, all)
		}
		var all sync.WaitGroup
		for n := range 100 {
			all.Go(func() {
				l.HandedOut("acme", "K1", int64(1000+(n*37)%100))
				l.HandedOut("globex", "K1", 7)
			})
		}
		all.Wait()
		if last, _ := l.LastExpiry("acme", "K1"); !last.Equal(time.Unix(1099, 0)) {
			t.Errorf("the latest is %v, want 1099", last)
		}
		if last, _ := l.LastExpiry("globex", "K1"); !last.Equal(time.Unix(7, 0)) {
			t.Errorf("the other environment's is %v", last)
		}
		if n := testing.AllocsPerRun(100, func() { l.HandedOut("acme", "K1", 2000) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}
