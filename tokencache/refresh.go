package tokencache

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/playgate/playgate/playback"
)

// plan books the refresh of a token that came into use. Its exp is asked for
// until its rollover; from then on requests compute exp + G (contract §4), so
// that one is signed at a random moment of the last fifth of g before. It is
// booked earlier only if more of them are due than the budget pays for. There
// is no plan where there is no later exp, or no time left.
func (c *Cache) plan(e *entry) {
	end, now := e.rollover(), c.now()
	start := end.Add(-time.Duration(e.g) * time.Second / 5)
	if now.After(start) {
		start = now
	}
	if e.g == 0 || !start.Before(end) {
		return
	}
	end = end.Add(-min(time.Second, end.Sub(start)/2)) // for what finds others before it
	due := start.Add(time.Duration(c.rand() * float64(end.Sub(start))))
	first, ok := c.schedule.add(e, due, now, c.reached())
	if !ok {
		first, ok = c.schedule.add(e, due, now, c.bookable())
	}
	switch {
	case !ok:
		c.metrics.refreshed(aheadOverBudget)
	case first:
		c.rouse()
	}
}

// rouse makes the refresher look again.
func (c *Cache) rouse() {
	select {
	case c.roused <- struct{}{}:
	default: // it is roused already
	}
}

// refresher signs ahead until the cache stops.
func (c *Cache) refresher() {
	var b budget
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait, ok := c.step(&b)
		switch {
		case !ok:
			return
		case wait <= 0:
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-c.roused:
		case <-c.root.Done():
			return
		}
	}
}

// step begins to sign one token ahead, within the budget: one that is due to
// be refreshed, else a twin. It returns how long there is nothing more to do;
// false: the cache stops.
func (c *Cache) step(b *budget) (time.Duration, bool) {
	now, rate := c.now(), c.perSecond()
	if wait := b.wait(now); wait > 0 {
		return wait, true
	}
	e, wait := c.schedule.next(now)
	if e != nil {
		b.spend(rate)
		if e.of.next.Load() != nil {
			b.spend(rate) // with its twin
		}
		return 0, c.dispatch(func() { c.refresh(e) })
	}
	if twins := c.nextTwins(); len(twins) > 0 {
		for range twins {
			b.spend(rate)
		}
		return 0, c.dispatch(func() { c.signTwins(twins); c.twins.done() })
	}
	return wait, true
}

// dispatch works beside the refresher, a few at once; false: the cache stops.
func (c *Cache) dispatch(task func()) bool {
	select {
	case c.ahead <- struct{}{}:
	case <-c.root.Done():
		return false
	}
	return c.begin(func() {
		defer func() { <-c.ahead }()
		task()
	})
}

// refresh signs the token that will be asked for next, and its twin if a key
// is prepared. It starts as unused: if nobody asks for it, it is not refreshed
// again, so idle tokens die out. (That its claims have its key proves that they
// were read right.)
func (c *Cache) refresh(e *entry) {
	claims, err := c.claimsOf(e)
	if err != nil || c.held(KeyOf(&claims)) != e {
		c.metrics.refreshed(aheadEvicted)
		return
	}
	claims.Exp += int64(e.g)
	r := request{claims: &claims, life: e.lifetime()}
	r.life.Exp = claims.Exp
	result, err := c.signAhead(&r)
	c.metrics.refreshed(result)
	c.complain(&claims, err)
	if result != aheadSigned && result != aheadPresent {
		return
	}
	if twin, ok := twinOf(e.of, &claims, r.life); ok {
		c.signTwins([]request{twin})
	}
}

// signAhead signs a token for which nobody waits, while it is of use: a twin
// until requests ask for the next exp, any other until they ask for it. Only
// an error that says something is broken is returned.
func (c *Cache) signAhead(r *request) (aheadResult, error) {
	end := rollover(r.life)
	if !r.twin {
		end = end.Add(-time.Duration(r.life.G) * time.Second)
	}
	left := end.Sub(c.now())
	if left <= 0 {
		return aheadLate, nil
	}
	r.key, r.turn = KeyOf(r.claims), playback.Turn{Ahead: true}
	s := c.shardOf(r.key)
	ctx, cancel := context.WithTimeout(c.root, left)
	defer cancel()
	f, result := s.joinAhead(r, cancel)
	if f == nil {
		return result, nil
	}
	out := c.sign(ctx, r.claims, r.turn)
	stored := s.land(*r, f, out)
	switch {
	case out.err == nil && r.twin && !stored:
		return aheadNoRoom, nil
	case out.err == nil:
		return aheadSigned, nil
	case errors.Is(out.err, playback.CodeNoActiveKey):
		return aheadNoKey, nil
	case errors.Is(out.err, playback.CodeSigningOverloaded):
		return aheadDropped, nil
	}
	return aheadFailed, out.err
}

func (c *Cache) complain(claims *playback.Claims, err error) {
	if err != nil {
		c.log.Warn("a token could not be signed ahead", slog.String("environment", string(claims.Environment)), slog.Any("error", err))
	}
}

// held returns the entry of a key, nil if there is none. It does not become
// used by that.
func (c *Cache) held(key Key) *entry {
	s := c.shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, _ := s.lru.Peek(key)
	return e
}

// joinAhead enters a flight for which nobody waits, unless the token is there
// or on its way, or a twin has no room.
func (s *shard) joinAhead(r *request, cancel func()) (*flight, aheadResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, flying := s.flights[r.key]; flying || s.lru.Contains(r.key) {
		return nil, aheadPresent
	}
	const typical = entryOverhead + 700 // bytes
	if r.twin && !s.besideLocked(typical) {
		return nil, aheadNoRoom
	}
	f := s.enterLocked(r.key, r.turn)
	f.cancel = cancel
	return f, aheadSigned
}
