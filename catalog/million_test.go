package catalog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
	"github.com/playgate/playgate/store/sqlite"
)

// many returns how many playback IDs to test with: a million, or fewer where the
// race detector or a quick run makes that too slow.
func many() int {
	if raceEnabled || testing.Short() || os.Getenv("PLAYGATE_TEST_MILLION") == "" {
		return 50_000
	}
	return 1_000_000
}

func pid(i int) playback.ID {
	return playback.ID(fmt.Sprintf("Pq02NsXyKc8vEeQfT01ZbWm7rJdLh4uAgV9oS%08d", i))
}

// TestAMillionPlaybackIDs: start from SQLite, memory, and a first and a later
// look-up, each within what is promised for a million. The figures are logged.
func TestAMillionPlaybackIDs(t *testing.T) {
	n := many()
	path := filepath.Join(t.TempDir(), "p.db")
	records, err := sqlite.Open(t.Context(), path)
	must(t, err)
	fillRecords(t, records, n)
	must(t, records.Close())
	records, err = sqlite.Open(t.Context(), path)
	must(t, err)
	t.Cleanup(func() { _ = records.Close() })

	before := heap()
	begun := time.Now()
	library, err := catalog.NewLibrary(t.Context(), records, []playback.EnvironmentID{env})
	must(t, err)
	took := time.Since(begun)
	each := float64(heap()-before) / float64(n)
	live, err := library.Live(t.Context(), env)
	must(t, err)
	view := live.View(mustCatalog(t))
	if live.Len() != n {
		t.Fatalf("%d playback IDs, want %d", live.Len(), n)
	}
	t.Logf("%d playback IDs: start %s, %.0f bytes each", n, took.Round(time.Millisecond), each)
	if each > 600 {
		t.Errorf("%.0f bytes each, want at most 600", each)
	}
	ids := make([]playback.ID, 25_000)
	for i := range ids {
		ids[i] = pid(i * 7919 % n)
	}
	for _, round := range []string{"first", "later"} {
		var each []time.Duration
		for batch := range slices.Chunk(ids, 5000) {
			begun := time.Now()
			for _, id := range batch {
				if o, ok := view.Lookup(id); !ok || o.ID != id || o.Asset.Status != "ready" {
					t.Fatalf("%s is %+v, %v", id, o, ok)
				}
			}
			each = append(each, time.Since(begun)/time.Duration(len(batch)))
		}
		slices.Sort(each)
		t.Logf("%s look-up: %s, the median of %s", round, each[len(each)/2], each)
	}
	runtime.KeepAlive(library)
}

// fillRecords writes n assets with one playback ID each.
func fillRecords(tb testing.TB, records store.Catalogue, n int) {
	tb.Helper()
	const batch = 20_000
	for first := 0; first < n; first += batch {
		objects := make([]store.Object, min(batch, n-first))
		for i := range objects {
			number := first + i
			objects[i] = store.Object{
				Environment: env, Kind: store.Asset, ID: fmt.Sprintf("As01NsXyKc8vEeQfT01ZbWm7rJdLh4uAgV9oS%08d", number), Version: 1,
				PlaybackIDs: []playback.ID{pid(number)},
				Data: fmt.Appendf(nil, `{"policies":["signed"],"status":"ready","duration":%d.5,"passthrough":"film-%d",`+
					`"meta":{"title":"The film number %d"},"created_at":1700000000}`, i, number, number),
			}
		}
		if _, _, err := records.Apply(tb.Context(), nil, objects, nil); err != nil {
			tb.Fatal(err)
		}
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkViewLookup(b *testing.B) {
	const n = 100_000
	records := memory.New()
	fillRecords(b, records, n)
	library, err := catalog.NewLibrary(b.Context(), records, []playback.EnvironmentID{env})
	if err != nil {
		b.Fatal(err)
	}
	live, _ := library.Live(b.Context(), env)
	view := live.View(mustCatalog(b))
	ids := make([]playback.ID, 4096)
	for i := range ids {
		ids[i] = pid(i * 7919 % n)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			view.Lookup(ids[i%len(ids)])
		}
	})
}
