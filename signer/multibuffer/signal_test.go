//go:build unix

package multibuffer_test

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/playgate/playgate/signer/multibuffer"
)

// The kernels keep everything in vector registers and masks. Signals (the
// scheduler's, the profiler's, others'), collections and stacks that grow come in
// between and must give them back as they were.
//
//nolint:paralleltest // it profiles the process and stops the world
func TestLanesSurviveSignalsAndCollections(t *testing.T) {
	all := testKeys(t)
	profile, err := os.CreateTemp(t.TempDir(), "profile")
	if err != nil {
		t.Fatal(err)
	}
	if err := pprof.StartCPUProfile(profile); err != nil {
		t.Logf("without the profiler's signals, it runs already: %v", err)
	} else {
		defer pprof.StopCPUProfile()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	var over atomic.Bool
	var disturbing, computing sync.WaitGroup
	disturbing.Go(func() {
		for !over.Load() {
			if err := syscall.Kill(os.Getpid(), syscall.SIGURG); err != nil {
				t.Error(err)
				return
			}
			runtime.Gosched()
		}
	})
	disturbing.Go(func() {
		for !over.Load() {
			runtime.GC()
		}
	})
	for range 3 {
		computing.Go(func() {
			batch := multibuffer.NewBatch()
			for round := range tries(150, 3) {
				deep(round%40, func() { signAndCompare(t, batch, all) })
			}
		})
	}
	computing.Wait()
	over.Store(true)
	disturbing.Wait()
}

// deep calls f with so many kilobytes of stack above it.
func deep(kilobytes int, f func()) {
	var room [1024]byte
	if kilobytes > 0 {
		deep(kilobytes-1, f)
	} else {
		f()
	}
	runtime.KeepAlive(&room)
}
