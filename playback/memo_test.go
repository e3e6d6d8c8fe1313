package playback_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
)

// TestMemoKeepsForEveryGoroutine, and a nil one keeps nothing.
func TestMemoKeepsForEveryGoroutine(t *testing.T) {
	t.Parallel()
	m := new(playback.Memo)
	if got := m.Load(); got != nil {
		t.Errorf("Load of an empty memo = %v, want nil", got)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			m.Keep("kept")
			if got := m.Load(); got != "kept" {
				t.Errorf("Load = %v, want kept", got)
			}
		})
	}
	wg.Wait()
	var none *playback.Memo
	none.Keep("lost")
	if got := none.Load(); got != nil {
		t.Errorf("Load of no memo = %v, want nil", got)
	}
}

// TestMemoIsNoPartOfItsValue: viewers that differ only in it are equal.
func TestMemoIsNoPartOfItsValue(t *testing.T) {
	t.Parallel()
	a, b := &playback.Viewer{ID: "u1", Memo: new(playback.Memo)}, &playback.Viewer{ID: "u1", Memo: new(playback.Memo)}
	a.Memo.Keep(1)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("(-a +b):\n%s", diff)
	}
}
