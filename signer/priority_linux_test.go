package signer_test

import (
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

// niceness is crypto/rsa that notes the priority of the thread that it runs on.
type niceness struct {
	signer.Backend
	seen   atomic.Int64
	policy atomic.Uint32
}

func (n *niceness) Sign(work []signer.Work) {
	if raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, syscall.Gettid()); err == nil {
		n.seen.Store(int64(20 - raw)) // the system call returns 20 - nice
	}
	if attr, err := unix.SchedGetAttr(0, 0); err == nil {
		n.policy.Store(attr.Policy)
	}
	n.Backend.Sign(work)
}

func TestSigningThreadsYieldToTheRest(t *testing.T) {
	t.Parallel()
	backend := &niceness{Backend: goBackend(t)}
	ring := newRing(t, backend, active)
	own := backend.seen.Load() // of the self-check, on this goroutine's thread
	pool := signer.NewPool(signer.Config{Ring: ring})
	t.Cleanup(pool.Stop)
	if _, err := pool.Sign(t.Context(), claims(t, ring), playback.Turn{}); err != nil {
		t.Fatal(err)
	}
	if got := backend.seen.Load(); got <= own && got < 10 {
		t.Errorf("a worker's niceness is %d, the program's %d", got, own)
	}
	if got := backend.policy.Load(); got != unix.SCHED_IDLE {
		t.Errorf("a worker's scheduling policy is %d, want SCHED_IDLE", got)
	}
}
