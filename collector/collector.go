package collector

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// interval is how often the size of the heap is looked at.
const interval = time.Second

// GCPercent returns the GOGC for a process whose heap has so many bytes that
// live. The collector lets the heap grow by so much of them before it collects.
// Each collection takes milliseconds of all cores, and requests wait for them:
// what it may grow by is 256 MiB beside up to half a gigabyte, where the default,
// 100, would collect twice a second beside the few megabytes of a gateway with
// little to remember and much to sign. From there to three quarters of a gigabyte
// it falls to 128 MiB, and beyond a gigabyte, which the default would double, it
// is 12 %: that is memory which operators pay for.
func GCPercent(live uint64) int {
	const least, most = 12, 1000 // percent
	const room, little = 256 << 20, 128 << 20
	const small = 512 << 20
	grow := max(little, room-max(0, float64(live)-small)/2)
	return int(min(most, max(least, 100*grow/max(1, float64(live)))))
}

// Live returns how many bytes of the heap lived at the last collection, 0 before
// the first.
func Live() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// Tune keeps GOGC at GCPercent while the heap changes, until the context ends,
// and the heap below nine tenths of the memory of the control group, where there
// is one (GOMEMLIMIT). Whoever sets GOGC or GOMEMLIMIT in the environment has
// decided that, and nothing is changed. Nor is it when the limit of the control
// group cannot be read, which is the error: a heap with room might not fit.
func Tune(ctx context.Context, environ []string) error {
	if decided(environ) {
		return nil
	}
	if _, err := memlimit.Set(); err != nil && !errors.Is(err, memlimit.ErrNoCgroup) && !errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		return fmt.Errorf("reading the memory limit of the control group: %w", err)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	set := 0
	for {
		// Setting it stops the world for a moment, so it is not done for trifles.
		if percent := GCPercent(Live()); abs(percent-set) > set/10 {
			debug.SetGCPercent(percent)
			set = percent
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Allocated returns how many bytes were ever allocated on the heap.
func Allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// A release is worth a collection, and the faults of the pages that are taken
// again, if so much was allocated, and so much of what lives: less is within what
// the heap may grow by anyway (GCPercent). Reading a configuration allocates
// 2 MB at start and 0.1 MB at a reload that changes little, 14 MB with 1,000
// playback IDs and 1.3 GB with 100,000; a collection of the first took 75 ms on two
// busy cores.
const (
	worthBytes = 64 << 20
	worthPart  = 4
)

// Release gives the system back what was allocated and nothing needs any more,
// such as what reading a configuration took, since Allocated returned a number. It
// reports whether that was worth a collection.
func Release(since uint64) bool {
	if Allocated()-since < max(worthBytes, Live()/worthPart) {
		return false
	}
	debug.FreeOSMemory()
	return true
}

// Limit returns how many bytes of memory the process may have: the lower of
// GOMEMLIMIT and the limit of the control group; 0: nobody says.
func Limit() uint64 {
	limit := uint64(math.MaxUint64)
	if own := debug.SetMemoryLimit(-1); own > 0 && own < math.MaxInt64 {
		limit = uint64(own)
	}
	if group, err := memlimit.FromCgroup(); err == nil && group > 0 {
		limit = min(limit, group)
	}
	if limit >= math.MaxInt64 {
		return 0
	}
	return limit
}

// Installed returns how many bytes of memory the machine has, 0 if that is not
// known.
func Installed() uint64 {
	size, err := memlimit.FromSystem()
	if err != nil {
		return 0
	}
	return size
}

func abs(n int) int { return max(n, -n) }

// decided reports whether the operator told Go how to use memory.
func decided(environ []string) bool {
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if (name == "GOGC" || name == "GOMEMLIMIT") && value != "" {
			return true
		}
	}
	return false
}
