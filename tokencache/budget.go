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
	// A signature that costs nothing here (another machine makes it) is bounded
	// by how many may be under way.
	const least = time.Microsecond
	return aheadShare * float64(c.cores) / max(least, c.signer.Cost()).Seconds()
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
	const kept, few = 100 * time.Millisecond, 5 * time.Millisecond
	if least := now.Add(-kept); b.paid.Before(least) {
		b.paid = least
	}
	if debt := b.paid.Sub(now); debt > 0 {
		return max(debt, few) // a few at a time, not a timer for each
	}
	return 0
}

func (b *budget) spend(perSecond float64) {
	b.paid = b.paid.Add(time.Duration(float64(time.Second) / perSecond))
}
