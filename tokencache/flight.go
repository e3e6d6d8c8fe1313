package tokencache

import (
	"context"
	"errors"
	"fmt"

	"github.com/playgate/playgate/playback"
)

// flight is one signature that several requests may wait for. It runs on a
// goroutine and under a context of its own, so whoever started it may leave.
type flight struct {
	ctx    context.Context
	cancel context.CancelFunc
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
	f := &flight{turn: turn, done: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(s.cache.root)
	s.flights[key] = f
	return f
}

// depart starts a flight. It works on its own copy of the claims, because
// their owner may be gone before it lands.
func (c *Cache) depart(s *shard, r request, f *flight) {
	claims := *r.claims
	r.claims = &claims
	if !c.begin(func() { s.land(r, f, c.sign(f.ctx, &claims, r.turn)) }) {
		s.land(r, f, signed{err: c.overloaded(errStopped)})
	}
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
			cause := fmt.Errorf("the signer panicked: %v", r)
			out = signed{err: playback.Errorf(playback.CodeInternalError, "The token could not be signed.").Because(cause)}
		}
	}()
	token, err := c.signer.Sign(ctx, claims, turn)
	return signed{token, err}
}

// land ends a flight: the token is there before the flight is gone, so that
// nobody starts another between the two.
func (s *shard) land(r request, f *flight, out signed) {
	s.mu.Lock()
	if s.flights[r.key] == f {
		delete(s.flights, r.key)
	}
	if out.err == nil {
		s.storeLocked(r.key, out.token, r.claims.Exp)
	}
	s.mu.Unlock()
	f.signed = out
	close(f.done)
	f.cancel()
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
