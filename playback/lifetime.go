package playback

import (
	"math"
	"time"
)

// Lifetime is how long the tokens of one answer live (contract §4). L and G
// are whole seconds.
type Lifetime struct {
	L   int64 // what the rules promise: every answer lives at least this long
	G   int64 // the grid: a quarter of L
	Exp int64 // Unix seconds, on the grid unless an absolute end cut it
	// Cut reports that an absolute end fixed Exp: no later one can be had.
	Cut bool
}

// Term returns L for a grant: its ttl, plus the asset's duration when the
// grant covers it and it is known, at most 4/5 of maxTTL, so that the grid's
// L+G never exceeds maxTTL.
func Term(ttl time.Duration, cover bool, duration float64, maxTTL time.Duration) int64 {
	l := int64(ttl / time.Second)
	if cover && duration > 0 {
		l += int64(math.Ceil(math.Min(duration, maxDuration.Seconds())))
	}
	most := max(1, int64(maxTTL/time.Second)*4/5)
	return max(1, min(l, most))
}

// Schedule puts exp on the grid: the smallest t ≥ now+L with t ≡ φ (mod G),
// where φ is fixed per environment and playback ID. Every replica answers the
// same exp, and not everything expires at once.
func Schedule(env EnvironmentID, id ID, l int64, now time.Time) Lifetime {
	g := max(1, l/4)
	least := now.Unix() + l
	if now.Nanosecond() > 0 {
		least++ // now is past this second: L must still be whole
	}
	return Lifetime{L: l, G: g, Exp: least + mod(phase(env, id, g)-least, g)}
}

// CutAt returns the lifetime under an absolute end (Unix seconds): a later exp
// is cut to it exactly, and one that falls on it has no later one either.
func (l Lifetime) CutAt(end int64) Lifetime {
	if l.Exp >= end {
		l.Exp, l.Cut = end, true
	}
	return l
}

// RefreshAt returns when asking again gets a later exp: exp − ⌊L·r⌋, with r
// drawn per answer from [0.25, 0.5), so that players do not come back as one.
func (l Lifetime) RefreshAt(r float64) int64 { return l.Exp - int64(float64(l.L)*r) }

// phase is a fixed hash of (environment, playback ID) mod g: FNV-1a, 64 bits,
// over both with a zero byte between them, which neither can contain. It only
// spreads load; nothing secret or trusted depends on it. (Written out because
// hash/fnv allocates, and this runs on every request.)
func phase(env EnvironmentID, id ID, g int64) int64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(env) {
		h = (h ^ uint64(env[i])) * prime
	}
	h *= prime // the zero byte
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * prime
	}
	return int64(h % uint64(g)) //nolint:gosec // g is positive and the remainder is below it
}

func mod(a, m int64) int64 {
	if a %= m; a < 0 {
		a += m
	}
	return a
}
