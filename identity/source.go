package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxStale    = 24 * time.Hour   // how long the last good keys outlive the last success
	demandEvery = 30 * time.Second // unknown keys cause one refresh in this time
	demandWait  = 2 * time.Second  // and a request waits for it no longer than this
	maxWaiters  = 256              // requests of one source that wait at a time
	maxBackoff  = 30 * time.Second
)

// source keeps the key set behind one URL or file fresh. Environments that
// name the same URL share it. Its goroutine is run; everything else may be
// called from any goroutine.
type source struct {
	name    string // for the log: without query
	read    reader
	now     func() time.Time
	log     *slog.Logger
	metrics *metrics

	set   atomic.Pointer[keySet]   // nil: never loaded
	fresh atomic.Int64             // the last success, Unix nanoseconds
	pins  atomic.Pointer[[]string] // what any issuer is pinned to, for the log alone

	kick  chan struct{} // asks run for a refresh now; capacity 1, never closed
	tried chan struct{} // closed by run after the first attempt

	waiters atomic.Int32

	mu       sync.Mutex
	running  bool          // guarded by mu: run is there to serve demands
	flight   chan struct{} // guarded by mu: closed when the refresh under way ends; nil: none
	demanded time.Time     // guarded by mu: the last refresh for an unknown key
	next     time.Time     // guarded by mu: when run means to refresh next
	deferred time.Time     // guarded by mu: until when the server asked to be left alone

	// Of run alone:
	failures int
	failure  string   // the last one logged
	digest   [32]byte // of the body behind set
}

func newSource(name string, read reader, v *Verifier) *source {
	return &source{
		name: name, read: read, now: v.now, log: v.log, metrics: v.metrics,
		kick: make(chan struct{}, 1), tried: make(chan struct{}),
	}
}

// lookUp returns the key that signed, or nil. It is settled if a refresh could
// not change that: the key is found, or it is here and did not sign.
func (s *source) lookUp(c *compact, now time.Time) (k *key, settled bool) {
	set := s.keys(now)
	if set == nil {
		return nil, false
	}
	k = set.verify(c)
	return k, k != nil || set.knows(c)
}

// keys returns the key set if it may be used: loaded, and confirmed within the
// last 24 hours.
func (s *source) keys(now time.Time) *keySet {
	if !s.usable(now.UnixNano()) {
		return nil
	}
	return s.set.Load()
}

func (s *source) usable(now int64) bool {
	fresh := s.fresh.Load()
	return fresh != 0 && now-fresh <= int64(maxStale)
}

// start puts run to work. The first flight begins here, so that a request that
// comes at once waits for it.
func (s *source) start(ctx context.Context, group *sync.WaitGroup) {
	s.setRunning(true)
	s.takeOff()
	group.Go(func() {
		defer s.setRunning(false)
		s.run(ctx)
	})
}

// run refreshes the set until the context ends.
func (s *source) run(ctx context.Context) {
	for first := true; ; first = false {
		wait := s.refresh(ctx)
		if first {
			close(s.tried)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.kick:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (s *source) setRunning(running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
	s.landLocked()
}

// nudge asks for a refresh without waiting for it, on reload.
func (s *source) nudge() {
	select {
	case s.kick <- struct{}{}:
	default: // one is asked for already
	}
}

// clockChanged moves what was noted with the clock.
func (s *source) clockChanged(by time.Duration) {
	if s.fresh.Load() != 0 {
		s.fresh.Add(int64(by))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range []*time.Time{&s.demanded, &s.next, &s.deferred} {
		if !at.IsZero() {
			*at = at.Add(by)
		}
	}
}

// demand asks for a refresh because a token names a key that is not known. It
// returns a channel that is closed when the refresh ends: the one under way,
// or a new one if the last demand is 30 seconds ago and the server did not ask
// to be left alone. Otherwise nil.
func (s *source) demand() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return nil
	}
	if s.flight != nil {
		return s.flight
	}
	now := s.now()
	if !s.demanded.IsZero() && now.Sub(s.demanded) < demandEvery || now.Before(s.deferred) {
		return nil
	}
	s.demanded = now
	s.flight = make(chan struct{})
	s.nudge()
	return s.flight
}

// await waits for a refresh to end, or for the deadline. It reports whether
// the refresh ended.
func (s *source) await(flight <-chan struct{}, deadline <-chan time.Time) bool {
	defer s.waiters.Add(-1)
	if s.waiters.Add(1) > maxWaiters {
		return false
	}
	select {
	case <-flight:
		return true
	case <-deadline:
		return false
	}
}

// retryAfter is when a client may hope for keys.
func (s *source) retryAfter() time.Duration {
	s.mu.Lock()
	next := s.next
	s.mu.Unlock()
	return min(max(next.Sub(s.now()), time.Second), maxBackoff)
}

// refresh reads the set once, and returns how long to wait for the next time.
func (s *source) refresh(ctx context.Context) time.Duration {
	s.takeOff()
	doc, err := s.read(ctx)
	if err == nil {
		err = s.take(doc.body)
	}
	wait := s.conclude(ctx, doc, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = s.now().Add(wait)
	s.deferred = time.Time{}
	if d, ok := errors.AsType[*deferredError](err); ok {
		s.deferred = s.now().Add(min(d.wait, refreshEvery))
	}
	s.landLocked()
	return wait
}

// takeOff begins the flight that demand did not begin. A nudge that came
// before is served by it.
func (s *source) takeOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.kick:
	default:
	}
	if s.flight == nil {
		s.flight = make(chan struct{})
	}
}

func (s *source) landLocked() {
	if s.flight != nil {
		close(s.flight)
		s.flight = nil
	}
}

// conclude counts and logs the outcome of a refresh, a failure once until it
// changes.
func (s *source) conclude(ctx context.Context, doc document, err error) time.Duration {
	if err == nil {
		if s.failures > 0 {
			s.log.Info("key set can be read again", "source", s.name)
		}
		s.failures, s.failure = 0, ""
		return jitter(doc.next)
	}
	if ctx.Err() != nil {
		return 0 // we are stopping; nobody failed
	}
	s.metrics.refresh(refreshFailed)
	if text := err.Error(); text != s.failure {
		s.failure = text
		s.log.Warn("key set cannot be read; the last good keys stay in force for 24 hours",
			"source", s.name, "loaded", s.set.Load() != nil, "error", err)
	}
	s.failures++
	wait := jitter(min(time.Second<<min(s.failures-1, 10), maxBackoff))
	if d, ok := errors.AsType[*deferredError](err); ok {
		// Not before the server allows it, unless that is later than an ordinary
		// refresh would be; a moment later, so that replicas do not ask in step.
		asked := min(d.wait, refreshEvery)
		wait = max(wait, jitter(asked)+asked/10)
	}
	return wait
}

// jitter spreads a duration by a tenth to both sides, so that replicas do not
// ask in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // no secret: it spreads load
}

// take publishes what was read.
func (s *source) take(body []byte) error {
	digest := sha256.Sum256(body)
	if digest == s.digest && s.set.Load() != nil {
		s.fresh.Store(s.now().UnixNano())
		s.metrics.refresh(refreshUnchanged)
		return nil
	}
	parsed, err := parseKeys(body, s.name)
	if err != nil {
		return err
	}
	next := &keySet{parsed.keys}
	withdrawn := next.succeed(s.set.Load())
	s.set.Store(next)
	s.fresh.Store(s.now().UnixNano())
	for _, k := range withdrawn {
		k.withdrawn.Store(true)
	}
	s.digest = digest
	s.logSet(&parsed, len(withdrawn))
	return nil
}

// logSet counts and logs a set that differs from the one before. A set without
// a usable key is an answer, and is believed: it withdraws all that there were.
// It is an error all the same, because it locks every viewer of the issuer out.
func (s *source) logSet(set *parsedSet, withdrawn int) {
	log, message := s.log.Info, "key set loaded"
	result := refreshChanged
	if len(set.keys) == 0 {
		log, message = s.log.Error, "the key set has no usable key: every viewer token of the issuer is refused"
		result = refreshEmptied
	}
	s.metrics.refresh(result)
	log(message, "source", s.name, "keys", len(set.keys), "withdrawn", withdrawn, "for_encryption", set.unrelated)
	if dropped := slices.Concat(set.dropped, s.unpinned(set.keys)); len(dropped) > 0 {
		s.log.Warn("keys of the set are not used", "source", s.name, "count", len(dropped), "dropped", dropped[:min(len(dropped), 10)])
	}
}

// unpinned describes the keys that no issuer's algorithms reach. They stay in
// the set, where Verify never gets to them, because a reload may pin them.
func (s *source) unpinned(keys []*key) (described []string) {
	pins := s.pins.Load()
	for _, k := range keys {
		if pins != nil && !slices.ContainsFunc(*pins, k.fits) {
			described = append(described, fmt.Sprintf("kid %.80q: it fits none of the pinned algorithms", k.kid))
		}
	}
	return described
}
