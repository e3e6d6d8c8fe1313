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
	cancel func()        // does nothing until it has departed
	turn   playback.Turn // whose place in the queue it takes

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
			c.depart(s, r, f)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			s.leave(r.key, f)
			return playback.Token{}, c.overloaded(context.Cause(ctx))
		case <-c.root.Done():
			s.leave(r.key, f)
			return playback.Token{}, c.overloaded(errStopped)
		}
		if leads || !elects(f, r.turn) {
			return f.token, f.err
		}
	}
	return playback.Token{}, c.overloaded(context.Cause(ctx))
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

// depart starts a flight: in the signer's queue if there is a place, else on a
// goroutine that waits for one. It works on its own copy of the claims, because
// their owner may be gone before it lands.
func (c *Cache) depart(s *shard, r request, f *flight) {
	claims := *r.claims
	r.claims = &claims
	if c.root.Err() != nil {
		s.land(r, f, signed{err: c.overloaded(errStopped)})
		return
	}
	land := func(token playback.Token, err error) { s.land(r, f, signed{token, err}) }
	if withdraw, ok := c.start(&claims, r.turn, land); ok {
		s.boarded(f, withdraw)
		return
	}
	ctx, cancel := context.WithCancel(c.root)
	s.boarded(f, cancel)
	if !c.begin(func() { s.land(r, f, c.sign(ctx, &claims, r.turn)); cancel() }) {
		cancel()
		s.land(r, f, signed{err: c.overloaded(errStopped)})
	}
}

// start calls the signer. A panic there fails this signature and no other.
func (c *Cache) start(claims *playback.Claims, turn playback.Turn, land func(playback.Token, error)) (withdraw func(), ok bool) {
	defer func() {
		if r := recover(); r != nil {
			land(playback.Token{}, panicked(r))
			withdraw, ok = func() {}, true
		}
	}()
	return c.signer.Start(claims, turn, land)
}

// boarded notes how a flight is cancelled. Whoever departs it waits for it, so
// nobody can have wanted that before.
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

// leave is for a request that waits no more. The last one out cancels.
func (s *shard) leave(key Key, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	if s.flights[key] == f {
		delete(s.flights, key)
	}
	f.cancel()
}

var errStopped = errors.New("the gateway stops")
