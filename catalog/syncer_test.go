package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

func TestEverythingIsReadOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	v := w.view(t)
	const assets = 250 // more than two pages
	for i := range assets {
		must(t, w.SetAsset("mux1", film(muxsim.AssetID(fmt.Sprintf("A%d", i)), muxsim.ID(fmt.Sprintf("P%d", i)))))
	}
	must(t, w.SetLiveStream("mux1", muxsim.LiveStream{ID: "L1", PlaybackIDs: []muxsim.ObjectPlaybackID{{ID: "PL", Policy: muxsim.Signed}}}))
	w.sync(t)
	eventually(t, "everything is known", func() bool { return w.live.Len() == assets+1 })
	if o, ok := v.Lookup("PL"); !ok || o.LiveStream == nil {
		t.Errorf("PL is %+v", o)
	}
	eventually(t, "the reading is over", func() bool {
		free, err := w.records.ClaimSync(t.Context(), env, store.SyncClaim{Due: time.Now().Add(time.Hour), Now: time.Now(), Until: time.Now()})
		return err == nil && free
	})
	if again, err := w.records.ClaimSync(t.Context(), env, store.SyncClaim{Due: time.Now().Add(-23 * time.Hour), Now: time.Now().Add(time.Hour)}); err != nil || again {
		t.Errorf("it is read again within a day: %v, %v", again, err)
	}
}

func TestWhatIsInUseIsCheckedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	v := w.view(t)
	for _, id := range []string{"1", "2", "3"} {
		must(t, w.SetAsset("mux1", film(muxsim.AssetID("A"+id), muxsim.ID("P"+id))))
		body := event("e"+id, "video.asset.ready", "A"+id, time.Now().Add(-time.Hour), map[string]any{
			"id": "A" + id, "status": "ready", "playback_ids": []any{map[string]any{"id": "P" + id, "policy": "signed"}},
		})
		_, err := w.inbox.Take(t.Context(), body)
		must(t, err)
	}
	// Mux tells nobody of these.
	must(t, w.SetAsset("mux1", film("A1", "P1b")))
	must(t, w.DeleteAsset("mux1", "A2"))
	// Nobody is to read everything meanwhile.
	_, err := w.records.ClaimSync(t.Context(), env, store.SyncClaim{Now: time.Now(), Until: time.Now().Add(time.Hour)})
	must(t, err)
	v.Lookup("P1")
	v.Lookup("P2")
	w.sync(t, func(c *catalog.SyncConfig) { c.MaxAge = 100 * time.Millisecond })
	eventually(t, "P1 and P2 are gone", func() bool { return v.Gone("P1") && v.Gone("P2") })
	if _, ok := v.Lookup("P1b"); !ok {
		t.Error("the new playback ID is not there")
	}
	asked := w.asked.Load()
	if _, ok := v.Lookup("P3"); !ok {
		t.Error("P3 is gone")
	}
	eventually(t, "P3 is checked once it is in use", func() bool { return w.asked.Load() > asked })
}

func TestMuxDownTakesNothingAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	v := w.view(t)
	must(t, w.SetAsset("mux1", film("A1", "P1")))
	w.hear(t, "video.asset.ready", "A1")
	for _, status := range []int64{http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest} {
		w.broken.Store(status)
		before := w.asked.Load()
		s := w.sync(t, func(c *catalog.SyncConfig) { c.MaxAge = time.Millisecond })
		v.Lookup("P1")
		if err := s.Do(t.Context(), &store.Job{Key: "asset A1"}); err == nil {
			t.Errorf("Mux answers %d, and a job is done", status)
		}
		eventually(t, "Mux was asked", func() bool { return w.asked.Load() >= before+3 })
		if _, ok := v.Lookup("P1"); !ok {
			t.Errorf("Mux's %d takes a playback ID away", status)
		}
	}
}

func TestAnEventThatSaysTooLittleMakesMuxBeAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	v := w.view(t)
	w.work(t, w.sync(t))
	must(t, w.SetAsset("mux1", film("A1", "P1")))
	if got := w.hear(t, "video.upload.asset_created", "A1"); got != catalog.EventChecked {
		t.Errorf("outcome %s", got)
	}
	eventually(t, "the asset is known", func() bool { _, ok := v.Lookup("P1"); return ok })
}

func lookup(c *catalog.SyncConfig) { c.Lookup = true }

var (
	someone = playback.Asker{Authenticated: true, Caller: "viewer u1"}
	nobody  = playback.Asker{Caller: "address 192.0.2.1"}
)

func TestLookUpOnFirstUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, err := w.records.ClaimSync(t.Context(), env, store.SyncClaim{Now: time.Now(), Until: time.Now().Add(time.Hour)})
	must(t, err)
	must(t, w.SetAsset("mux1", film("A1", "P1", "P2")))
	must(t, w.SetLiveStream("mux1", muxsim.LiveStream{ID: "L1", PlaybackIDs: []muxsim.ObjectPlaybackID{{ID: "P3", Policy: muxsim.DRM}}}))
	f := catalog.Finder{View: w.view(t), Syncer: w.sync(t, lookup)}
	eventually(t, "the syncer runs", func() bool {
		_, err := f.Find(t.Context(), "P1", someone)
		return err == nil
	})
	o, err := f.Find(t.Context(), "P1", someone)
	if err != nil || o.Asset.ID != "A1" {
		t.Fatalf("Find = %+v, %v", o, err)
	}
	if _, ok := f.View.Lookup("P2"); !ok {
		t.Error("the asset's other playback ID is not known")
	}
	if o, err := f.Find(t.Context(), "P3", someone); err != nil || o.LiveStream.ID != "L1" || o.Policy != playback.PolicyDRM {
		t.Errorf("Find of a live stream's = %+v, %v", o, err)
	}
	before := w.asked.Load()
	for range 5 {
		if _, err := f.Find(t.Context(), "Nothing", someone); !errors.Is(err, playback.CodeUnknownPlaybackID) {
			t.Errorf("Find of nothing: %v", err)
		}
	}
	if asked := w.asked.Load() - before; asked != 1 {
		t.Errorf("Mux was asked %d times about nothing, want 1", asked)
	}
	before = w.asked.Load()
	if _, err := f.Find(t.Context(), "Other", nobody); !errors.Is(err, playback.CodeUnknownPlaybackID) || w.asked.Load() != before {
		t.Errorf("for who is not authenticated: %v", err)
	}
	must(t, w.SetAsset("mux1", film("A5", "P5")))
	must(t, f.FindAsset(t.Context(), "A5", nobody))
	if f.View.ByAsset("A5") != nil {
		t.Error("an asset was looked up for who is not authenticated")
	}
	must(t, f.FindAsset(t.Context(), "A5", someone))
	if len(f.View.ByAsset("A5")) != 1 {
		t.Error("an asset was not looked up")
	}
	must(t, f.FindLiveStream(t.Context(), "L9", someone))
}

func TestOneFlightPerID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, err := w.records.ClaimSync(t.Context(), env, store.SyncClaim{Now: time.Now(), Until: time.Now().Add(time.Hour)})
	must(t, err)
	must(t, w.SetAsset("mux1", film("A1", "P1")))
	f := catalog.Finder{View: w.view(t), Syncer: w.sync(t, lookup)}
	eventually(t, "the syncer runs", func() bool { return f.FindAsset(t.Context(), "Warm", someone) == nil })
	before := w.asked.Load()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := f.Find(context.Background(), "P1", someone); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// Each look-up asks twice. Some may come after the first one has ended: outside
	// of this test they would have found P1 in the catalogue.
	if asked := w.asked.Load() - before; asked > 20 {
		t.Errorf("50 requests at once asked Mux %d times", asked)
	}
}

func TestLookUpsThatCannotBeAnsweredAre503(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	s := catalog.NewSyncer(catalog.SyncConfig{Environment: env, Library: w.library, Live: w.live, Lookup: true, Now: time.Now})
	f := catalog.Finder{View: w.view(t), Syncer: s}
	if _, err := f.Find(t.Context(), "P1", someone); !errors.Is(err, playback.CodeDependencyUnavailable) {
		t.Errorf("before it runs: %v", err)
	}
	f.Syncer = w.sync(t, lookup)
	w.broken.Store(http.StatusForbidden)
	eventually(t, "Mux's 403 is the gateway's 503", func() bool {
		_, err := f.Find(t.Context(), "P1", someone)
		return errors.Is(err, playback.CodeDependencyUnavailable) && w.asked.Load() > 0
	})
	hang := make(chan struct{})
	defer close(hang)
	f.Syncer = w.sync(t, lookup, func(c *catalog.SyncConfig) { c.Mux = slow{hang} })
	eventually(t, "a request that waits for Mux gives up", func() bool {
		begun := time.Now()
		refusal := &playback.Error{}
		if _, err := f.Find(t.Context(), "P2", someone); !errors.As(err, &refusal) || refusal.Code != playback.CodeDependencyUnavailable || refusal.RetryAfter <= 0 {
			t.Errorf("a Mux that hangs: %v", err)
		}
		return time.Since(begun) > time.Second // at first the Syncer does not run yet, and that is said at once
	})
}

// slow is a Mux that does not answer until it is let go.
type slow struct{ until chan struct{} }

func (s slow) wait(ctx context.Context) error {
	select {
	case <-s.until:
	case <-ctx.Done():
	}
	return errors.New("too late")
}

func (s slow) Object(ctx context.Context, _ store.Kind, _ string) (catalog.Said, error) {
	return catalog.Said{}, s.wait(ctx)
}

func (s slow) Owner(ctx context.Context, _ playback.ID) (store.Kind, string, error) {
	return "", "", s.wait(ctx)
}

func (s slow) Page(ctx context.Context, _ store.Kind, _ string) (catalog.Page, error) {
	return catalog.Page{}, s.wait(ctx)
}
