package tokencache

import (
	"context"
	"errors"
	"fmt"

	"github.com/playgate/playgate/playback"
)

// flight is one signature that several requests may wait for. It runs apart
// from all of them, so whoever started it may leave.
type flight struct {
	signing playback.Signing // its leader's: what the signer has begun; nil: nothing
	cancel  func()           // does nothing until it has departed
	turn    playback.Turn    // whose place in the queue it takes

	waiters int // guarded by shard.mu; at none the flight is cancelled

	signed // written before done is closed
	done   chan struct{}
}

// miss gets a token that was not there when the request looked.
func (c *Cache) miss(ctx context.Context, s *shard, r request) (playback.Token, error) {
	for first := true; ctx.Err() == nil; first = false {
		token, f, leads := s.join(r)
		if first {
			c.metrics.missed(leads)
		}
		if f == nil {
			return token, nil
		}
		if leads {
			return c.lead(ctx, s, r, f)
		}
		if err := c.wait(ctx, s, r.key, f); err != nil {
			return playback.Token{}, err
		}
		if !elects(f, r.turn) {
			return f.token, f.err
		}
	}
	return playback.Token{}, c.overloaded(context.Cause(ctx))
}

// wait waits until a flight has landed, or says why not.
func (c *Cache) wait(ctx context.Context, s *shard, key Key, f *flight) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		s.leave(key, f)
		return c.overloaded(context.Cause(ctx))
	case <-c.root.Done():
		s.leave(key, f)
		return c.overloaded(errStopped)
	}
}

// elects reports whether a request that waited for a flight in vain tries
// itself: when the flight failed for a reason that was its caller's own. A
// request of the same caller shares the reason, unless it has the patience
// that the leader had not; so the waiters of one caller cannot fail one by one.
func elects(f *flight, turn playback.Turn) bool {
	var own interface{ CallersOwn() bool }
	if f.err == nil || !errors.As(f.err, &own) || !own.CallersOwn() {
		return false
	}
	return f.turn.Caller != turn.Caller || turn.Patient && !f.turn.Patient
}

// join returns the token if it came meanwhile, else the flight to wait for,
// and whether the request must start it. A refresh-ahead of the same key waits
// behind everything, so nobody waits for it: it is cancelled and overtaken.
func (s *shard) join(r request) (token playback.Token, f *flight, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.liveLocked(r.key, s.cache.now()); ok {
		return e.token, nil, false
	}
	f, ok := s.flights[r.key]
	if ok && !f.turn.Ahead {
		f.waiters++
		return playback.Token{}, f, false
	}
	if ok {
		f.cancel()
	}
	f = s.enterLocked(r.key, r.turn)
	f.waiters = 1
	return playback.Token{}, f, true
}

// enterLocked makes the flight of a key, in place of any other.
func (s *shard) enterLocked(key Key, turn playback.Turn) *flight {
	f := &flight{cancel: func() {}, turn: turn, done: make(chan struct{})}
	s.flights[key] = f
	return f
}

// lead takes a flight to its end, on the goroutine of the request that began
// it: one goroutine less to wake for every miss, and no lock of the cache is
// ever held by a signing thread, whose priority is low. Where the signer has no
// place yet, a goroutine of its own waits for one.
func (c *Cache) lead(ctx context.Context, s *shard, r request, f *flight) (playback.Token, error) {
	if c.root.Err() != nil {
		s.land(r, f, signed{err: c.overloaded(errStopped)})
		return playback.Token{}, f.err
	}
	var ok bool
	f.signing, ok = c.start(s, r, f)
	switch {
	case !ok:
		c.depart(s, r, f)
	case f.signing != nil:
		return c.steer(ctx, s, r, f)
	}
	if err := c.wait(ctx, s, r.key, f); err != nil {
		return playback.Token{}, err
	}
	return f.token, f.err
}

// start calls the signer. A panic there fails this signature and no other: it
// lands with that error.
func (c *Cache) start(s *shard, r request, f *flight) (signing playback.Signing, ok bool) {
	defer func() {
		if value := recover(); value != nil {
			s.land(r, f, signed{err: panicked(value)})
			signing, ok = nil, true
		}
	}()
	return c.signer.Start(r.claims, r.turn)
}

// steer waits for what the signer has begun. A leader that cannot wait any
// longer hands over to a goroutine if others still wait.
func (c *Cache) steer(ctx context.Context, s *shard, r request, f *flight) (playback.Token, error) {
	signing := f.signing
	s.boarded(f, signing.Withdraw)
	var cause error
	select {
	case <-signing.Done():
		token, err := signing.Result()
		s.land(r, f, signed{token, err})
		return token, err
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-c.root.Done():
		cause = errStopped
	}
	claims := *r.claims // their owner is about to go
	r.claims = &claims
	if s.leave(r.key, f) > 0 {
		c.begin(func() {
			select {
			case <-signing.Done():
				token, err := signing.Result()
				s.land(r, f, signed{token, err})
			case <-c.root.Done(): // so do all who wait
			}
		})
	}
	return playback.Token{}, c.overloaded(cause)
}

// depart has a goroutine wait for a signature. It works on its own copy of the
// claims, because their owner may be gone before it lands.
func (c *Cache) depart(s *shard, r request, f *flight) {
	claims := *r.claims
	r.claims = &claims
	ctx, cancel := context.WithCancel(c.root)
	s.boarded(f, cancel)
	if !c.begin(func() { s.land(r, f, c.sign(ctx, &claims, r.turn)); cancel() }) {
		cancel()
		s.land(r, f, signed{err: c.overloaded(errStopped)})
	}
}

// boarded notes how a flight is cancelled. Its leader waits for it, so nobody
// can have wanted that before.
func (s *shard) boarded(f *flight, cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.cancel = cancel
}

// signed is what came of a flight.
type signed struct {
	token playback.Token
	err   error
}

// sign calls the signer. A panic there fails this signature and no other.
func (c *Cache) sign(ctx context.Context, claims *playback.Claims, turn playback.Turn) (out signed) {
	defer func() {
		if r := recover(); r != nil {
			out = signed{err: panicked(r)}
		}
	}()
	token, err := c.signer.Sign(ctx, claims, turn)
	return signed{token, err}
}

func panicked(value any) error {
	cause := fmt.Errorf("the signer panicked: %v", value)
	return playback.Errorf(playback.CodeInternalError, "The token could not be signed.").Because(cause)
}

// land ends a flight: the token is there before the flight is gone, so that
// nobody starts another between the two. It reports whether the token is
// remembered.
func (s *shard) land(r request, f *flight, out signed) (stored bool) {
	s.mu.Lock()
	if s.flights[r.key] == f {
		delete(s.flights, r.key)
	}
	if out.err == nil {
		stored = s.storeLocked(&r, out.token)
	}
	s.mu.Unlock()
	f.signed = out
	close(f.done)
	return stored
}

// leave is for a request that waits no more; it returns how many still do. The
// last one out cancels.
func (s *shard) leave(key Key, f *flight) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return f.waiters
	}
	if s.flights[key] == f {
		delete(s.flights, key)
	}
	f.cancel()
	return 0
}

var errStopped = errors.New("the gateway stops")
