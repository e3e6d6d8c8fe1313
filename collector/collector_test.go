package collector_test

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/collector"
)

func TestTheHeapMayGrowByWhatIsAffordable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		live uint64
		want int
	}{
		{"before the first collection", 0, 1000},
		{"a gateway that has just started", 15 << 20, 1000},
		{"some thousand tokens", 64 << 20, 400},
		{"as much as by default", 256 << 20, 100},
		{"half a million tokens", 512 << 20, 50},
		{"most of a million", 768 << 20, 16},
		{"nearly a million", 900 << 20, 14},
		{"a million tokens", 1 << 30, 12},
		{"never all the time", 64 << 30, 12},
		{"no overflow", math.MaxUint64, 12},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := collector.GCPercent(test.live); got != test.want {
				t.Errorf("GCPercent(%d) = %d, want %d", test.live, got, test.want)
			}
		})
	}
}

// The collector belongs to the process, so these tests cannot run side by side.
func TestTuneFollowsTheHeap(t *testing.T) { //nolint:paralleltest // see above
	keep(t)
	debug.SetGCPercent(100)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- collector.Tune(ctx, []string{"GOGC=", "PATH=/bin"}) }()
		synctest.Wait()
		small := percent()
		if small <= 100 {
			t.Errorf("GOGC beside a small heap is %d, want more than the default", small)
		}
		large := make([]byte, 400<<20)
		runtime.GC()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := percent(); got >= 100 {
			t.Errorf("GOGC beside %d bytes is %d, want less than the default", len(large), got)
		}
		runtime.KeepAlive(large)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatTheOperatorDecidedStays(t *testing.T) { //nolint:paralleltest // see above
	for _, variable := range []string{"GOGC=77", "GOGC=off", "GOMEMLIMIT=1GiB"} {
		keep(t)
		debug.SetGCPercent(77)
		if err := collector.Tune(t.Context(), []string{variable}); err != nil {
			t.Error(err)
		}
		if got := percent(); got != 77 {
			t.Errorf("with %s GOGC is %d, want it as it was", variable, got)
		}
	}
}

// keep restores the process's settings after the test.
func keep(t *testing.T) {
	t.Helper()
	gogc, limit := percent(), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(gogc)
		debug.SetMemoryLimit(limit)
	})
	runtime.GC() // what lived before, in another test, does not count
}

// percent returns the GOGC in force.
func percent() int {
	got := debug.SetGCPercent(100)
	debug.SetGCPercent(got)
	return got
}

// TestOnlyMuchIsReleased: a collection of a large heap costs all cores some time,
// and small configurations take little.
func TestOnlyMuchIsReleased(t *testing.T) { //nolint:paralleltest // the collector belongs to the process
	keep(t)
	debug.SetGCPercent(-1) // nobody else collects
	forced := func() uint32 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.NumForcedGC
	}
	allocate := func(bytes int) (garbage []byte) {
		for ; bytes > 0; bytes -= 1 << 20 {
			garbage = make([]byte, 1<<20)
		}
		return garbage
	}
	runtime.GC()
	tests := []struct {
		name      string
		live      int
		allocated int
		want      bool
	}{
		{"a small configuration", 0, 8 << 20, false},
		{"a large one", 0, 80 << 20, true},
		{"a large one beside a large heap", 400 << 20, 80 << 20, false},
		{"a larger one beside a large heap", 400 << 20, 120 << 20, true},
	}
	for _, test := range tests {
		live := make([]byte, test.live)
		runtime.GC()
		since, before := collector.Allocated(), forced()
		runtime.KeepAlive(allocate(test.allocated))
		released := collector.Release(since)
		if ran := forced() != before; released != test.want || ran != test.want {
			t.Errorf("%s: released %v, collected %v, want %v", test.name, released, ran, test.want)
		}
		runtime.KeepAlive(live)
	}
}
