package tokencache

import "time"

// aheadShare is how much of the cores' time may be spent on signing what
// nobody waits for, refresh-ahead and twins together. A quarter leaves the
// requests their cores when all of it is used, and is plenty otherwise: on two
// cores more than a thousand tokens a second.
const aheadShare = 0.25

// perSecond returns how many tokens may be signed ahead in a second: what the
// share buys at the measured cost of a signature.
func (c *Cache) perSecond() float64 {
	return aheadShare * float64(c.cores) / max(leastCost, c.signer.Cost()).Seconds()
}

// leastCost bounds what the share buys: a signature that costs nothing here
// (another machine makes it) is bounded by how many may be under way.
const leastCost = time.Microsecond

// bookable returns how many tokens one second is booked for at most: what is
// left of the budget makes up for chance within a second.
func (c *Cache) bookable() int { return max(1, int(0.9*c.perSecond())) }

// reached returns how many it is booked for as long as there is room earlier. On
// a machine full of requests, which go before the signing threads, these reach
// a part of the budget only, and half of what they lately reached is counted on.
func (c *Cache) reached() int {
	reached := 0.5 * float64(c.cores) / max(leastCost, c.signer.Pace()).Seconds()
	return min(c.bookable(), max(1, int(reached)))
}

// budget paces what is signed ahead. Used by one goroutine.
type budget struct {
	// paid is when what was signed ahead until now is paid for, if a second
	// pays for perSecond.
	paid time.Time
}

// wait returns how long to sign nothing. What was not used is kept for a tenth
// of a second, which bridges late timers and no more: averaged over a second,
// the share holds.
func (b *budget) wait(now time.Time) time.Duration {
	const kept, few, most = 100 * time.Millisecond, 5 * time.Millisecond, 10 * time.Second
	if least := now.Add(-kept); b.paid.Before(least) {
		b.paid = least
	}
	if latest := now.Add(most); b.paid.After(latest) { // the clock was set back
		b.paid = latest
	}
	if debt := b.paid.Sub(now); debt > 0 {
		return max(debt, few) // a few at a time, not a timer for each
	}
	return 0
}

func (b *budget) spend(perSecond float64) {
	b.paid = b.paid.Add(time.Duration(float64(time.Second) / perSecond))
}
