// Command leak looks for a dependence of the time of a batch on its keys, in the
// manner of dudect (Reparaz, Balasch, Verbauwhede 2017): batches with one fixed
// key and with random keys in random order, and Welch's t of their times, of all
// and of those below several percentiles. |t| < 4.5 is no evidence of a leak. It
// is run by hand on a quiet machine (make leak); docs/security.md has an output.
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/playgate/playgate/signer/multibuffer"
)

func main() {
	batches := flag.Int("batches", 1_000_000, "batches of eight signatures to time")
	flag.Parse()
	if err := run(*batches, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "leak:", err)
		os.Exit(1)
	}
}

// randomKeys is how many random keys the second class draws from.
const randomKeys = 64

func run(batches int, out io.Writer) error {
	if err := multibuffer.Supported(); err != nil {
		return err
	}
	keys := make([]*multibuffer.Key, 1+randomKeys) // the first one is fixed
	for i := range keys {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return fmt.Errorf("generating a key: %w", err)
		}
		if keys[i], err = multibuffer.NewKey(private); err != nil {
			return fmt.Errorf("preparing a key: %w", err)
		}
	}
	runtime.LockOSThread()
	fixed, random := measure(batches, keys)
	for _, percent := range []int{100, 99, 95, 90, 75, 50, 25} {
		limit := percentile(fixed, random, percent)
		t, n, m := welch(below(fixed, limit), below(random, limit))
		fmt.Fprintf(out, "fastest %3d %%: %7d batches with the fixed key, %7d with random keys, t = %+.2f\n", percent, n, m, t)
		if math.Abs(t) >= 4.5 {
			return fmt.Errorf("|t| = %.2f of the fastest %d %%: the time depends on the key, or the machine is not quiet", math.Abs(t), percent)
		}
	}
	return nil
}

// measure returns the nanoseconds of each batch of both classes.
func measure(batches int, keys []*multibuffer.Key) (fixed, random []float64) {
	batch := multibuffer.NewBatch()
	var digest [sha256.Size]byte
	now := time.Now //nolint:forbidigo // what this program is for
	for range batches {
		chance := mathrand.Uint64() //nolint:gosec // for a measurement
		class := chance&1 == 0
		for lane := range multibuffer.Lanes {
			drawn := 1 + mathrand.IntN(randomKeys) //nolint:gosec // for a measurement; in both classes, so that both do the same before
			if class {
				drawn = 0
			}
			binary.NativeEndian.PutUint64(digest[:], mathrand.Uint64()) //nolint:gosec // for a measurement
			batch.Set(lane, keys[drawn], &digest)
		}
		begun := now()
		batch.Compute()
		took := float64(now().Sub(begun))
		batch.Wipe()
		if class {
			fixed = append(fixed, took)
		} else {
			random = append(random, took)
		}
	}
	return fixed, random
}

// percentile returns the time that so many percent of all batches are not above.
func percentile(a, b []float64, percent int) float64 {
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	return all[max(0, len(all)*percent/100-1)]
}

func below(times []float64, limit float64) []float64 {
	return slices.DeleteFunc(slices.Clone(times), func(t float64) bool { return t > limit })
}

// welch returns Welch's t statistic and the sizes.
func welch(a, b []float64) (t float64, n, m int) {
	meanA, varianceA := moments(a)
	meanB, varianceB := moments(b)
	return (meanA - meanB) / math.Sqrt(varianceA/float64(len(a))+varianceB/float64(len(b))), len(a), len(b)
}

func moments(times []float64) (mean, variance float64) {
	for i, t := range times { // Welford's
		d := t - mean
		mean += d / float64(i+1)
		variance += d * (t - mean)
	}
	return mean, variance / float64(len(times)-1)
}
