package signer_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

// slow is crypto/rsa behind a gate, so that a test can look at the queue while
// a signature is being computed.
type slow struct {
	signer.Backend
	batch int
	took  time.Duration // of each call, once gated

	mu    sync.Mutex
	gate  chan struct{} // nil: open
	sizes []int         // of each call behind the gate
	panic bool
}

func (*slow) Name() string { return "slow" }
func (s *slow) Batch() int { return max(1, s.batch) }

func (s *slow) Sign(work []signer.Work) {
	s.mu.Lock()
	gate, panics := s.gate, s.panic
	if gate != nil {
		s.sizes = append(s.sizes, len(work))
	}
	s.mu.Unlock()
	if panics {
		panic("a bug in the backend")
	}
	if gate != nil {
		<-gate
		time.Sleep(s.took)
	}
	s.Backend.Sign(work)
}

// shut closes the gate for whoever comes now; opening is closing the channel.
func (s *slow) shut() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = make(chan struct{})
	return s.gate
}

// signed returns the sizes of the calls behind the gate.
func (s *slow) signed() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sizes)
}

// forget begins the list of sizes anew.
func (s *slow) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes = nil
}

// workshop is a pool of one worker with its queue, to be used in a bubble.
type workshop struct {
	t        *testing.T
	backend  *slow
	ring     *signer.Ring
	pool     *signer.Pool
	registry *prometheus.Registry
	running  sync.WaitGroup
}

func newWorkshop(t *testing.T, queue int) *workshop {
	t.Helper()
	return newWorkshopOver(t, func(s *slow) signer.Backend { return s }, queue)
}

// newWorkshopOver is newWorkshop with another backend over the slow one.
func newWorkshopOver(t *testing.T, over func(*slow) signer.Backend, queue int) *workshop {
	t.Helper()
	w := &workshop{t: t, backend: &slow{Backend: goBackend(t)}, registry: prometheus.NewRegistry()}
	w.ring = newRing(t, over(w.backend), active)
	w.pool = signer.NewPool(signer.Config{Ring: w.ring, Concurrency: 1, Queue: queue, Registerer: w.registry})
	return w
}

// sign asks in the background and waits until the job stands in its line.
func (w *workshop) sign(ctx context.Context, turn playback.Turn) *answer {
	a := &answer{}
	c := claims(w.t, w.ring)
	w.running.Go(func() { a.token, a.err = w.pool.Sign(ctx, c, turn); a.done = true })
	synctest.Wait()
	return a
}

func (w *workshop) stop() {
	w.pool.Stop()
	w.running.Wait()
}

type answer struct {
	token playback.Token
	err   error
	done  bool
}

// overloaded returns whether err is signing_overloaded with a RetryAfter, and
// whether it is the caller's own.
func overloaded(err error) (is, own bool) {
	var e *playback.Error
	if !errors.As(err, &e) || e.Code != playback.CodeSigningOverloaded || e.Kind != playback.ServiceUnavailable || e.RetryAfter < time.Second {
		return false, false
	}
	var o interface{ CallersOwn() bool }
	return true, errors.As(err, &o) && o.CallersOwn()
}
