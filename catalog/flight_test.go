package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/playback"
)

// TestALookUpOutlivesItsCaller: a caller that hangs up neither ends the look-up,
// whose answer later requests need, nor gets back what it has cost.
func TestALookUpOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mux := &paced{has: map[playback.ID]string{"Good": "Asset"}}
		finder := lookUps(t, mux, env)
		hangUp := func(id playback.ID) { // Mux answers after a second
			t.Helper()
			mux.mu.Lock()
			mux.next = time.Now().Add(time.Second)
			mux.mu.Unlock()
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := finder.Find(ctx, id, caller("v")); !errors.Is(err, playback.CodeDependencyUnavailable) {
				t.Errorf("a caller who hangs up: %v", err)
			}
		}
		hangUp("Good")
		time.Sleep(2 * time.Second)
		if o, ok := finder.View.Lookup("Good"); !ok || o.Asset.ID != "Asset" {
			t.Errorf("after its caller has gone, the look-up has found %+v, %t", o, ok)
		}
		for n := range 10 {
			hangUp(playback.ID(fmt.Sprintf("Bad%d", n)))
			time.Sleep(2 * time.Second)
		}
		if _, err := finder.Find(t.Context(), "Bad10", caller("v")); !errors.Is(err, playback.CodeRateLimited) {
			t.Errorf("the eleventh unknown ID: %v, want rate_limited", err)
		}
		if _, err := finder.Find(t.Context(), "Bad10", caller("w")); !errors.Is(err, playback.CodeUnknownPlaybackID) {
			t.Errorf("another caller: %v", err)
		}
	})
}
