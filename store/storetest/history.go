package storetest

import (
	"context"
	"sync"
	"testing"

	"github.com/playgate/playgate/store"
)

// compare returns the newest checkpoint, and fails if a state that was seen
// became something else than wanted.
func compare(t *testing.T, s store.Store, seen store.Checkpoint, want store.Continuity) store.Checkpoint {
	t.Helper()
	latest, became, err := s.Compare(t.Context(), seen)
	must(t, err)
	if became != want {
		t.Errorf("checkpoint %+v became %d, want %d; the newest is %+v", seen, became, want, latest)
	}
	return latest
}

func checkpoints(t *testing.T, open func(*testing.T) store.Store) {
	s, replica := open(t), open(t)
	env := environment()
	first := compare(t, s, store.Checkpoint{}, store.Continued)
	_, _, err := s.Apply(t.Context(), nil, []store.Object{asset(env, "A", 1, "x"), asset(env, "B", 1, "x")}, union)
	must(t, err)
	second := compare(t, replica, first, store.Continued)
	var last int64
	must(t, replica.Changes(t.Context(), env, 0, func(o *store.Object) error { last = o.Seq; return nil }))
	if second == first || second.Seq < last {
		t.Errorf("after objects up to %d the newest checkpoint is %+v, and was %+v before", last, second, first)
	}
	g := rental(env, "g", "u")
	_, _, err = s.PutGrant(t.Context(), &g, 1000)
	must(t, err)
	must(t, s.Mark(t.Context()))
	compare(t, replica, second, store.Continued)
	compare(t, replica, first, store.Continued)
	compare(t, replica, store.Checkpoint{Seq: second.Seq, Stamp: second.Stamp + 1}, store.Rewound)
	compare(t, replica, store.Checkpoint{Seq: second.Seq + 1<<40, Stamp: second.Stamp}, store.Rewound)
	must(t, s.TrimHistory(t.Context()))
	compare(t, replica, second, store.Continued)

	// Who writes at the same time neither waits for long nor fails.
	var wg sync.WaitGroup
	for _, s := range []store.Store{s, replica} {
		wg.Go(func() {
			for range 20 {
				if err := s.RaiseExpiries(context.Background(), []store.Expiry{{Environment: env, Key: "K", Exp: 1}}); err != nil {
					t.Error(err)
				}
				if err := s.Mark(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	compare(t, s, second, store.Continued)
}
