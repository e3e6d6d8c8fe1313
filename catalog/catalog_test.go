package catalog_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/playback"
)

func signed(id playback.ID, asset *catalog.Asset) catalog.Entry {
	return catalog.Entry{ID: id, Policy: playback.PolicySigned, Asset: asset}
}

func live(id playback.ID, stream *catalog.LiveStream) catalog.Entry {
	return catalog.Entry{ID: id, Policy: playback.PolicySigned, LiveStream: stream}
}

func mustCatalog(t testing.TB, entries ...catalog.Entry) *catalog.Catalog {
	t.Helper()
	c, err := catalog.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLookupKnowsWhatStandsBehindAPlaybackID(t *testing.T) {
	t.Parallel()
	created := time.Unix(1_700_000_000, 0)
	c := mustCatalog(t,
		signed("PID1", &catalog.Asset{
			ID: "A1", Duration: new(120.5), Status: new("ready"), Passthrough: new("film-1"), Meta: map[string]any{"title": "T"}, CreatedAt: &created,
		}),
		catalog.Entry{ID: "PID2", Policy: playback.PolicyPublic, Asset: &catalog.Asset{ID: "A1"}},
		live("PID3", &catalog.LiveStream{ID: "L1", Status: new("active")}),
		catalog.Entry{ID: "PID4", Policy: playback.PolicyDRM},
	)
	asset := &playback.Asset{ID: "A1", Duration: 120.5, Status: "ready", Passthrough: "film-1", Meta: map[string]any{"title": "T"}, CreatedAt: created}
	want := []*playback.Object{
		{ID: "PID1", Policy: playback.PolicySigned, Known: true, Asset: asset},
		{ID: "PID2", Policy: playback.PolicyPublic, Known: true, Asset: asset},
		{ID: "PID3", Policy: playback.PolicySigned, Known: true, LiveStream: &playback.LiveStream{ID: "L1", Status: "active"}},
		{ID: "PID4", Policy: playback.PolicyDRM, Known: true},
	}
	for _, w := range want {
		got, ok := c.Lookup(w.ID)
		if diff := cmp.Diff(w, got); !ok || diff != "" {
			t.Errorf("Lookup(%s) = %v: %s", w.ID, ok, diff)
		}
	}
	if diff := cmp.Diff(want, c.Objects()); diff != "" || c.Len() != 4 {
		t.Errorf("Objects: %s", diff)
	}
	for _, o := range c.Objects() {
		if o.Memo == nil {
			t.Errorf("%s has no memo: the rules would convert it on every request", o.ID)
		}
	}
	for _, id := range []playback.ID{"", "PID9", "pid1", "A1", "L1"} {
		if o, ok := c.Lookup(id); ok {
			t.Errorf("Lookup(%q) = %v", id, o)
		}
	}
}

func TestEntriesThatNameOneAssetShareIt(t *testing.T) {
	t.Parallel()
	// What an entry leaves out is filled in by another one, before or after it.
	c := mustCatalog(t,
		signed("P1", &catalog.Asset{ID: "A1", Duration: new(60.0)}),
		signed("P2", &catalog.Asset{ID: "A1", Status: new("errored"), Duration: new(60.0)}),
		live("P3", &catalog.LiveStream{ID: "A1"}),
		live("P4", &catalog.LiveStream{ID: "A1", Status: new("idle")}),
	)
	first, _ := c.Lookup("P1")
	second, _ := c.Lookup("P2")
	if first.Asset != second.Asset || first.Asset.Status != "errored" || second.Asset.Duration != 60 {
		t.Errorf("assets %+v and %+v, want one", first.Asset, second.Asset)
	}
	third, _ := c.Lookup("P3")
	fourth, _ := c.Lookup("P4")
	if third.LiveStream != fourth.LiveStream || third.LiveStream.Status != "idle" || third.Asset != nil {
		t.Errorf("live streams %+v and %+v, want one", third.LiveStream, fourth.LiveStream)
	}
}

func TestAnAbsentStatusStaysAbsent(t *testing.T) {
	t.Parallel()
	c := mustCatalog(t, signed("P1", &catalog.Asset{ID: "A1"}), live("P2", &catalog.LiveStream{ID: "L1"}))
	asset, _ := c.Lookup("P1")
	stream, _ := c.Lookup("P2")
	if asset.Asset.Status != "" || asset.Asset.Duration != 0 || stream.LiveStream.Status != "" {
		t.Errorf("asset %+v, live stream %+v, want nothing known", asset.Asset, stream.LiveStream)
	}
}

func TestByAssetAndByLiveStreamKeepCatalogueOrder(t *testing.T) {
	t.Parallel()
	c := mustCatalog(t,
		signed("Z", &catalog.Asset{ID: "A1"}),
		live("L", &catalog.LiveStream{ID: "L1"}),
		signed("B", &catalog.Asset{ID: "A2"}),
		signed("A", &catalog.Asset{ID: "A1"}),
		live("K", &catalog.LiveStream{ID: "L1"}),
	)
	names := func(objects []*playback.Object) string {
		var out []string
		for _, o := range objects {
			out = append(out, string(o.ID))
		}
		return strings.Join(out, " ")
	}
	if got := names(c.ByAsset("A1")); got != "Z A" {
		t.Errorf("ByAsset(A1) = %s, want Z A", got)
	}
	if got := names(c.ByLiveStream("L1")); got != "L K" {
		t.Errorf("ByLiveStream(L1) = %s, want L K", got)
	}
	if c.ByAsset("L1") != nil || c.ByLiveStream("A1") != nil || c.ByAsset("") != nil {
		t.Error("what does not exist has playback IDs")
	}
}

func TestNewRefusesContradictions(t *testing.T) {
	t.Parallel()
	day := time.Unix(1_700_000_000, 0)
	next := day.Add(time.Second)
	a := func(change func(*catalog.Asset)) *catalog.Asset {
		asset := &catalog.Asset{ID: "A1"}
		change(asset)
		return asset
	}
	twice := func(first, second func(*catalog.Asset)) []catalog.Entry {
		return []catalog.Entry{signed("P1", a(first)), signed("P2", &catalog.Asset{ID: "A1"}), signed("P3", a(second))}
	}
	for name, c := range map[string]struct {
		entries []catalog.Entry
		path    string
		also    string
	}{
		"duration": {
			twice(func(a *catalog.Asset) { a.Duration = new(1.0) }, func(a *catalog.Asset) { a.Duration = new(2.0) }),
			"playback_ids[2].asset.duration", "playback_ids[0].asset.duration",
		},
		"duration against an explicit zero": {
			twice(func(a *catalog.Asset) { a.Duration = new(0.0) }, func(a *catalog.Asset) { a.Duration = new(2.0) }),
			"playback_ids[2].asset.duration", "playback_ids[0].asset.duration",
		},
		"status": {
			twice(func(a *catalog.Asset) { a.Status = new("ready") }, func(a *catalog.Asset) { a.Status = new("errored") }),
			"playback_ids[2].asset.status", "playback_ids[0]",
		},
		"passthrough": {
			twice(func(a *catalog.Asset) { a.Passthrough = new("") }, func(a *catalog.Asset) { a.Passthrough = new("x") }),
			"playback_ids[2].asset.passthrough", "playback_ids[0]",
		},
		"meta": {
			twice(func(a *catalog.Asset) { a.Meta = map[string]any{"t": "x"} }, func(a *catalog.Asset) { a.Meta = map[string]any{"t": "y"} }),
			"playback_ids[2].asset.meta", "playback_ids[0]",
		},
		"creation": {
			twice(func(a *catalog.Asset) { a.CreatedAt = &day }, func(a *catalog.Asset) { a.CreatedAt = &next }),
			"playback_ids[2].asset.created_at", "playback_ids[0]",
		},
		"live status": {
			[]catalog.Entry{live("P1", &catalog.LiveStream{ID: "L1", Status: new("idle")}), live("P2", &catalog.LiveStream{ID: "L1", Status: new("active")})},
			"playback_ids[1].live_stream.status", "playback_ids[0].live_stream.status",
		},
		"duplicate playback ID": {[]catalog.Entry{signed("P1", nil), signed("P1", nil)}, "playback_ids[1].id", "playback_ids[0].id"},
		"playback ID":           {[]catalog.Entry{signed("P-1", nil)}, "playback_ids[0].id", "P-1"},
		"asset ID":              {[]catalog.Entry{signed("P1", &catalog.Asset{})}, "playback_ids[0].asset.id", "asset ID"},
		"live stream ID":        {[]catalog.Entry{live("P1", &catalog.LiveStream{ID: "a b"})}, "playback_ids[0].live_stream.id", "a b"},
		"policy":                {[]catalog.Entry{{ID: "P1", Policy: "secret"}}, "playback_ids[0].policy", "secret"},
		"negative duration":     {[]catalog.Entry{signed("P1", a(func(a *catalog.Asset) { a.Duration = new(-1.0) }))}, "playback_ids[0].asset.duration", ""},
		"infinite duration":     {[]catalog.Entry{signed("P1", a(func(a *catalog.Asset) { a.Duration = new(math.Inf(1)) }))}, "playback_ids[0].asset.duration", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := catalog.New(c.entries)
			var problem *catalog.EntryError
			if !errors.As(err, &problem) || problem.Path != c.path || !strings.Contains(problem.Message, c.also) {
				t.Errorf("New = %v, want a problem at %s that names %s", err, c.path, c.also)
			}
			if n := len(catalog.Check(c.entries)); n != 1 {
				t.Errorf("Check finds %d problems, want 1", n)
			}
		})
	}
}

func TestNewAcceptsWhatIsGivenTwiceAlike(t *testing.T) {
	t.Parallel()
	day := time.Unix(1_700_000_000, 0)
	utc := day.UTC()
	for range 2 {
		mustCatalog(t,
			signed("P1", &catalog.Asset{ID: "A1", Duration: new(1.5), Status: new("ready"), Passthrough: new("x"), Meta: map[string]any{"t": []any{1.0}}, CreatedAt: &day}),
			signed("P2", &catalog.Asset{ID: "A1", Duration: new(1.5), Status: new("ready"), Passthrough: new("x"), Meta: map[string]any{"t": []any{1.0}}, CreatedAt: &utc}),
		)
	}
}

func TestCheckReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	got := catalog.Check([]catalog.Entry{{ID: "P-1", Policy: "x"}, signed("P1", &catalog.Asset{}), signed("P1", nil)})
	if len(got) != 4 {
		t.Errorf("Check = %v, want 4 problems", got)
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	c := mustCatalog(t, signed("P1", &catalog.Asset{ID: "A1"}))
	n := testing.AllocsPerRun(100, func() {
		c.Lookup("P1")
		c.Lookup("nothing")
		c.ByAsset("A1")
	})
	if n != 0 {
		t.Errorf("lookups allocate %v times, want 0", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	entries := make([]catalog.Entry, 100_000)
	for i := range entries {
		entries[i] = signed(playback.ID(fmt.Sprintf("P%040d", i)), nil)
	}
	c, err := catalog.New(entries)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			c.Lookup(entries[i%len(entries)].ID)
		}
	})
}

func ExampleNew() {
	c, err := catalog.New([]catalog.Entry{
		{ID: "PID1", Policy: playback.PolicySigned, Asset: &catalog.Asset{ID: "A1"}},
		{ID: "PID2", Policy: playback.PolicyPublic, Asset: &catalog.Asset{ID: "A1"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range c.ByAsset("A1") {
		fmt.Println(o.ID, o.Policy)
	}
	// Output:
	// PID1 signed
	// PID2 public
}
