package tokencache

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/playgate/playgate/playback"
)

// planFor plans the refresh of a token that came into use. Its exp is asked
// for until exp − L; from then on requests compute exp + G (contract §4), so
// that one is signed at a random moment of the last fifth of g before. There
// is no plan if that time is over.
func (c *Cache) planFor(key Key, claims *playback.Claims, life playback.Lifetime) (*plan, bool) {
	end := rollover(claims, life)
	start := end.Add(-time.Duration(life.G) * time.Second / 5)
	if now := c.now(); now.After(start) {
		start = now
	}
	if !start.Before(end) {
		return nil, false
	}
	due := start.Add(time.Duration(c.rand() * float64(end.Sub(start))))
	return &plan{key: key, claims: *claims, life: life, due: due, index: -1}, true
}

// rollover returns when requests begin to compute the next exp.
func rollover(claims *playback.Claims, life playback.Lifetime) time.Time {
	return time.Unix(claims.Exp-life.L, 0)
}

// refresher carries out the plans until the cache stops.
func (c *Cache) refresher() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		p, wait := c.schedule.next(c.now())
		if p != nil {
			if !c.dispatch(p) {
				return
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-c.schedule.earlier:
		case <-c.root.Done():
			return
		}
	}
}

// dispatch refreshes beside the refresher, a few at once; false: the cache
// stops.
func (c *Cache) dispatch(p *plan) bool {
	select {
	case c.ahead <- struct{}{}:
	case <-c.root.Done():
		return false
	}
	return c.begin(func() {
		result, err := c.refresh(p)
		<-c.ahead
		c.metrics.refreshed(result)
		if err != nil {
			c.log.Warn("a token could not be signed ahead", slog.String("environment", string(p.claims.Environment)), slog.Any("error", err))
		}
	})
}

// refresh signs the token that will be asked for next. It starts as unused: if
// nobody asks for it, it is not refreshed again, so idle tokens die out. Only
// an error that says something is broken is returned.
func (c *Cache) refresh(p *plan) (refreshResult, error) {
	if !c.shardOf(p.key).spend(p) {
		return refreshEvicted, nil
	}
	left := rollover(&p.claims, p.life).Sub(c.now())
	if left <= 0 {
		return refreshLate, nil // it is asked for already
	}
	claims := p.claims
	claims.Exp += p.life.G
	r := request{key: KeyOf(&claims), claims: &claims, turn: playback.Turn{Ahead: true}}
	s := c.shardOf(r.key)
	f, ok := s.joinAhead(r)
	if !ok {
		return refreshPresent, nil
	}
	ctx, cancel := context.WithTimeout(f.ctx, left)
	defer cancel()
	out := c.sign(ctx, &claims, r.turn)
	s.land(r, f, out)
	switch {
	case out.err == nil:
		return refreshSigned, nil
	case errors.Is(out.err, playback.CodeNoActiveKey):
		return refreshNoKey, nil
	case errors.Is(out.err, playback.CodeSigningOverloaded):
		return refreshDropped, nil
	}
	return refreshFailed, out.err
}

// spend takes the plan from its entry, and reports whether the entry is still
// there.
func (s *shard) spend(p *plan) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.lru.Peek(p.key)
	if !ok || e.plan != p {
		return false
	}
	e.plan = nil
	s.countLocked(e, -planSize(&p.claims))
	return true
}

// joinAhead enters a flight for which nobody waits, unless the token is there
// or on its way.
func (s *shard) joinAhead(r request) (*flight, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, flying := s.flights[r.key]; flying || s.lru.Contains(r.key) {
		return nil, false
	}
	return s.enterLocked(r.key, r.turn), true
}
