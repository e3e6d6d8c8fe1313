package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
	"github.com/playgate/playgate/store/sqlite"
)

func TestAWebhookFillsTheCatalogue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	v := w.view(t)
	a := film("A1", "P1", "P2")
	a.PlaybackIDs[1].Policy, a.Passthrough, a.LiveStream = muxsim.Public, "film-1", "L1"
	must(t, w.SetAsset("mux1", a))
	if got := w.hear(t, "video.asset.ready", "A1"); got != catalog.EventApplied {
		t.Fatalf("outcome %s", got)
	}
	want := playback.Asset{
		ID: "A1", Duration: 60, Status: "ready", Passthrough: "film-1", Meta: map[string]any{"title": "T"},
		CreatedAt: time.Unix(1_700_000_000, 0).UTC(), LiveStreamID: "L1",
	}
	for id, policy := range map[playback.ID]playback.Policy{"P1": playback.PolicySigned, "P2": playback.PolicyPublic} {
		o, ok := v.Lookup(id)
		if !ok || !o.Known || o.Policy != policy || o.Memo == nil {
			t.Fatalf("%s is %+v, %v", id, o, ok)
		}
		if diff := cmp.Diff(want, *o.Asset); diff != "" {
			t.Error(diff)
		}
	}
	if list := v.ByAsset("A1"); len(list) != 2 || list[0].ID != "P1" || list[1].ID != "P2" {
		t.Errorf("ByAsset: %v", list)
	}
	must(t, w.SetLiveStream("mux1", muxsim.LiveStream{ID: "L1", Status: "idle", PlaybackIDs: []muxsim.ObjectPlaybackID{{ID: "P3", Policy: muxsim.DRM}}}))
	w.hear(t, "video.live_stream.idle", "L1")
	if o, ok := v.Lookup("P3"); !ok || o.LiveStream.Status != "idle" || o.Policy != playback.PolicyDRM || o.Asset != nil {
		t.Errorf("P3 is %+v, %v", o, ok)
	}
	if list := v.ByLiveStream("L1"); len(list) != 1 {
		t.Errorf("ByLiveStream: %v", list)
	}
}

func TestAPlaybackIDThatIsGoneIsNotTakenForUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	v := w.view(t)
	must(t, w.SetAsset("mux1", film("A1", "P1", "P2")))
	w.hear(t, "video.asset.ready", "A1")
	must(t, w.SetAsset("mux1", film("A1", "P2")))
	w.hear(t, "video.asset.updated", "A1")
	if _, ok := v.Lookup("P1"); ok || !v.Gone("P1") || v.Gone("P2") || v.Gone("P9") {
		t.Error("P1 is not gone, or others are")
	}
	must(t, w.DeleteAsset("mux1", "A1"))
	w.hear(t, "video.asset.deleted", "A1")
	if _, ok := v.Lookup("P2"); ok || !v.Gone("P2") || v.ByAsset("A1") != nil {
		t.Error("what belongs to a deleted asset is there")
	}
	f := catalog.Finder{View: v}
	if _, err := f.Find(t.Context(), "P1", someone); !errors.Is(err, playback.CodeUnknownPlaybackID) {
		t.Errorf("Find of what is gone: %v", err)
	}
	if o, err := f.Find(t.Context(), "P9", someone); o != nil || err != nil {
		t.Errorf("Find of what is unknown: %v, %v", o, err)
	}
	// Another process, or this one after a restart, sees the same.
	again, err := catalog.NewLibrary(t.Context(), w.records, []playback.EnvironmentID{env})
	must(t, err)
	live, err := again.Live(t.Context(), env)
	must(t, err)
	other := live.View(mustCatalog(t))
	if !other.Gone("P1") || !other.Gone("P2") {
		t.Error("a restart forgets what is gone")
	}
}

func TestConfiguredEntriesWinForWhatTheyState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	must(t, w.SetAsset("mux1", film("A1", "P1", "P2")))
	must(t, w.SetAsset("mux1", film("A2", "P3")))
	w.hear(t, "video.asset.ready", "A1")
	w.hear(t, "video.asset.ready", "A2")
	v := w.view(t,
		catalog.Entry{ID: "P2", Policy: playback.PolicyDRM, Asset: &catalog.Asset{ID: "A1", Passthrough: new("stated")}},
		catalog.Entry{ID: "P0", Policy: playback.PolicyPublic, Asset: &catalog.Asset{ID: "A1"}}, // Mux never told of it
		catalog.Entry{ID: "P3", Policy: playback.PolicyPublic},                                  // says nothing of the asset
		catalog.Entry{ID: "P4", Policy: playback.PolicySigned, Asset: &catalog.Asset{ID: "A9", Status: new("preparing")}},
	)
	var ids []playback.ID
	for _, o := range v.ByAsset("A1") {
		ids = append(ids, o.ID)
		if o.Asset.Passthrough != "stated" || o.Asset.Duration != 60 {
			t.Errorf("%s: %+v", o.ID, o.Asset)
		}
	}
	if diff := cmp.Diff([]playback.ID{"P2", "P0", "P1"}, ids); diff != "" {
		t.Errorf("the order: %s", diff)
	}
	for id, policy := range map[playback.ID]playback.Policy{"P0": "public", "P1": "signed", "P2": "drm", "P3": "public", "P4": "signed"} {
		if o, ok := v.Lookup(id); !ok || o.Policy != policy {
			t.Errorf("%s is %+v, %v", id, o, ok)
		}
	}
	if o, _ := v.Lookup("P3"); o.Asset == nil || o.Asset.ID != "A2" {
		t.Errorf("P3 is %+v, want Mux's asset", o)
	}
	must(t, w.DeleteAsset("mux1", "A1"))
	w.hear(t, "video.asset.deleted", "A1")
	if o, ok := v.Lookup("P2"); !ok || o.Asset.Passthrough != "stated" || o.Asset.Duration != 0 {
		t.Errorf("what the configuration lists is %+v, %v", o, ok)
	}
	if _, ok := v.Lookup("P1"); ok {
		t.Error("what only Mux listed is there")
	}
}

func TestAViewKeepsWhatWasMadeUntilItChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	must(t, w.SetAsset("mux1", film("A1", "P1")))
	w.hear(t, "video.asset.ready", "A1")
	entries := []catalog.Entry{{ID: "P0", Policy: playback.PolicySigned}}
	first, _ := w.view(t, entries...).Lookup("P1")
	w.hear(t, "video.asset.updated", "A1") // says the same, later
	again, _ := w.view(t, catalog.Entry{ID: "P0", Policy: playback.PolicySigned}).Lookup("P1")
	if first != again {
		t.Error("a reload or a webhook that changes nothing makes rules convert everything again")
	}
	changed := film("A1", "P1")
	changed.Duration = 61
	must(t, w.SetAsset("mux1", changed))
	w.hear(t, "video.asset.updated", "A1")
	if now, _ := w.view(t, entries...).Lookup("P1"); now == first || now.Asset.Duration != 61 || first.Asset.Duration != 60 {
		t.Error("a change is not seen, or changed an object that was given out")
	}
}

// TestWebhooksInAnyOrder: 10,000 webhooks about a few hundred objects, in order
// and shuffled with duplicates, end in the same catalogue.
func TestWebhooksInAnyOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const assets, total = 300, 10_000
	start := time.Unix(1_700_000_000, 0)
	events := make([][]byte, total)
	for i := range events {
		n := random.IntN(assets)
		id, kind := fmt.Sprintf("A%d", n), "video.asset.updated"
		data := map[string]any{"id": id, "status": "ready", "duration": float64(i), "playback_ids": []any{}}
		for p := range 3 {
			if random.IntN(2) == 0 {
				data["playback_ids"] = append(data["playback_ids"].([]any), map[string]any{"id": fmt.Sprintf("%sP%d", id, p), "policy": "signed"})
			}
		}
		switch {
		case n%10 == 0:
			kind, data["status"] = "video.live_stream.active", "active"
		case random.IntN(200) == 0:
			kind = "video.asset.deleted"
		}
		// Some have the same time: whichever comes first, the same one counts.
		events[i] = event(fmt.Sprintf("e%d", i), kind, id, start.Add(time.Duration(i/3)*time.Millisecond), data)
	}
	fill := func(records store.Store, order []int) map[string]string {
		w := newWorld(t, records)
		for _, i := range order {
			if _, err := w.inbox.Take(t.Context(), events[i]); err != nil {
				t.Fatal(err)
			}
		}
		return w.dump(t, assets)
	}
	order := make([]int, total)
	for i := range order {
		order[i] = i
	}
	want := fill(nil, order)
	for i := range total / 5 {
		order = append(order, i*5)
	}
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	if diff := cmp.Diff(want, fill(nil, order)); diff != "" {
		t.Errorf("another order ends in another catalogue: %s", diff)
	}
}

// dump returns what the catalogue says of everything.
func (w *world) dump(t *testing.T, assets int) map[string]string {
	t.Helper()
	v := w.view(t)
	out := map[string]string{}
	for n := range assets {
		id := fmt.Sprintf("A%d", n)
		for _, o := range append(v.ByAsset(playback.AssetID(id)), v.ByLiveStream(playback.LiveStreamID(id))...) {
			out["of "+id] += string(o.ID) + " "
		}
		for p := range 3 {
			pid := playback.ID(fmt.Sprintf("%sP%d", id, p))
			o, ok := v.Lookup(pid)
			switch {
			case !ok:
				out[string(pid)] = fmt.Sprint("gone ", v.Gone(pid))
			case o.Asset != nil:
				out[string(pid)] = fmt.Sprint(o.Policy, *o.Asset)
			default:
				out[string(pid)] = fmt.Sprint(o.Policy, *o.LiveStream)
			}
		}
	}
	return out
}

func TestAReplicaFollows(t *testing.T) {
	t.Parallel()
	records, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "p.db"))
	must(t, err)
	t.Cleanup(func() { _ = records.Close() })
	one, two := newWorld(t, records), newWorld(t, records)
	must(t, one.SetAsset("mux1", film("A1", "P1")))
	one.hear(t, "video.asset.ready", "A1")
	v := two.view(t)
	if _, ok := v.Lookup("P1"); ok {
		t.Error("the replica knew it already")
	}
	must(t, two.library.Follow(t.Context()))
	if _, ok := v.Lookup("P1"); !ok {
		t.Error("the replica does not know it")
	}
	// A third that starts now, and an environment that is configured later.
	late, err := catalog.NewLibrary(t.Context(), records, nil)
	must(t, err)
	live, err := late.Live(t.Context(), env)
	must(t, err)
	if live.Len() != 1 {
		t.Errorf("%d playback IDs, want 1", live.Len())
	}
	late.Keep(nil)
	if late.Len() != 0 {
		t.Error("an environment that is no more is kept")
	}
}

// TestWhoAnswersAWebhookKnowsIt, also one that another replica took before, or
// a newer one.
func TestWhoAnswersAWebhookKnowsIt(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	said := func(id, playbackID string, at time.Time) []byte {
		ids := []any{map[string]any{"id": playbackID, "policy": "signed"}}
		return event(id, "video.asset.updated", "A1", at, map[string]any{"id": "A1", "playback_ids": ids})
	}
	for name, c := range map[string]struct {
		again []byte
		want  catalog.EventOutcome
	}{
		"the same": {said("e2", "P2", at), catalog.EventDuplicate},
		"an older": {said("e1", "P1", at.Add(-time.Second)), catalog.EventStale},
	} {
		records := memory.New()
		one, two := newWorld(t, records), newWorld(t, records)
		taken := said("e2", "P2", at)
		if name == "an older" {
			taken = said("e3", "P2", at)
		}
		_, err := one.inbox.Take(t.Context(), taken)
		must(t, err)
		if outcome, err := two.inbox.Take(t.Context(), c.again); err != nil || outcome != c.want {
			t.Errorf("%s: %s, %v, want %s", name, outcome, err, c.want)
		}
		if _, ok := two.view(t).Lookup("P2"); !ok {
			t.Errorf("%s: who answered does not know it", name)
		}
	}
}

func TestLookupsDoNotAllocateOnceMade(t *testing.T) {
	w := newWorld(t, nil)
	must(t, w.SetAsset("mux1", film("A1", "P1")))
	w.hear(t, "video.asset.ready", "A1")
	v := w.view(t, catalog.Entry{ID: "P0", Policy: playback.PolicySigned, Asset: &catalog.Asset{ID: "A1"}})
	n := testing.AllocsPerRun(100, func() {
		v.Lookup("P1")
		v.Lookup("P0")
		v.Lookup("nothing")
		v.ByAsset("A1")
	})
	if n != 0 {
		t.Errorf("lookups allocate %v times, want 0", n)
	}
}

func TestReadersSeeWholeObjectsWhileTheCatalogueChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	v := w.view(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 600 {
			id := fmt.Sprintf("A%d", i%200)
			data := map[string]any{"id": id, "status": "ready", "playback_ids": []any{map[string]any{"id": id + "P", "policy": "signed"}}}
			if _, err := w.inbox.Take(context.Background(), event(fmt.Sprint(i), "video.asset.updated", id, time.Unix(int64(i+1), 0), data)); err != nil {
				t.Error(err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		for i := range 200 {
			id := playback.ID(fmt.Sprintf("A%dP", i))
			if o, ok := v.Lookup(id); ok && (o.ID != id || o.Asset == nil || string(o.Asset.ID)+"P" != string(id)) {
				t.Fatalf("%s leads to %+v", id, o)
			}
		}
	}
	if w.live.Len() != 200 {
		t.Errorf("%d playback IDs, want 200", w.live.Len())
	}
}

// TestAViewSeesEveryChangeOfTheConfiguration: what was made for an earlier one is
// used again only if both say the same.
func TestAViewSeesEveryChangeOfTheConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	must(t, w.SetAsset("mux1", film("A1", "P1")))
	w.hear(t, "video.asset.ready", "A1")
	at := time.Unix(1_900_000_000, 0).UTC()
	asset := func(change func(*catalog.Asset)) []catalog.Entry {
		a := &catalog.Asset{ID: "A1"}
		change(a)
		return []catalog.Entry{signed("P0", a)}
	}
	configurations := [][]catalog.Entry{
		nil,
		asset(func(*catalog.Asset) {}),
		asset(func(a *catalog.Asset) { a.Duration = new(0.0) }),
		asset(func(a *catalog.Asset) { a.Duration = new(1.0) }),
		asset(func(a *catalog.Asset) { a.Status = new("") }),
		asset(func(a *catalog.Asset) { a.Status = new("ready") }),
		asset(func(a *catalog.Asset) { a.Passthrough = new("other") }),
		asset(func(a *catalog.Asset) { a.Meta = map[string]any{} }),
		asset(func(a *catalog.Asset) { a.Meta = map[string]any{"k": "v"} }),
		asset(func(a *catalog.Asset) { a.CreatedAt = &at }),
		{signed("P0", &catalog.Asset{ID: "A2"})},
		{signed("P0", nil)},
		{{ID: "P0", Policy: playback.PolicyDRM}},
		{{ID: "P1", Policy: playback.PolicyDRM}},
		{live("P0", &catalog.LiveStream{ID: "L1"})},
		{live("P0", &catalog.LiveStream{ID: "L1", Status: new("")})},
		{live("P0", &catalog.LiveStream{ID: "L1", Status: new("active")})},
	}
	seen := map[*playback.Object]int{}
	for n, entries := range configurations {
		first, _ := w.view(t, entries...).Lookup("P1")
		again, _ := w.view(t, entries...).Lookup("P1")
		if before, ok := seen[first]; ok {
			t.Errorf("configuration %d has the object of configuration %d", n, before)
		}
		listed := n == 13 // P1 itself: nothing was learned of it alone
		if first != again && !listed {
			t.Errorf("configuration %d makes the object again although nothing has changed", n)
		}
		seen[first] = n
	}
}
