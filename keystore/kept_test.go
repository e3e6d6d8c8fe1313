package keystore_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
)

// TestAKeptKeyIsNoFreshReading: what is new of the other keys is taken, but the
// reading does not count, because of the kept one nobody knows.
func TestAKeptKeyIsNoFreshReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Active))
		r := newRig(t, f, acme)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		f.mu.Lock()
		f.problems = []keystore.Problem{{Path: "K1", Reason: "may not be read", Kept: true}}
		f.mu.Unlock()
		time.Sleep(15 * time.Second)
		before, failing := r.LastRead(acme)
		if !failing {
			t.Error("the reading counts as a success")
		}
		f.set(acme, keystoretest.Key(t, "K2", 2, keystore.Active))
		time.Sleep(time.Minute)
		r.want(t, "acme=K2", "acme=K1", "acme=K2")
		if after, failing := r.LastRead(acme); !after.Equal(before) || !failing {
			t.Errorf("last read %v, failing %v, want %v", after, failing, before)
		}
		f.mu.Lock()
		f.problems = nil
		f.mu.Unlock()
		time.Sleep(15 * time.Second)
		if after, failing := r.LastRead(acme); !after.After(before) || failing {
			t.Errorf("read again: last read %v, failing %v", after, failing)
		}
	})
}
