package tokencache

import (
	"math"
	"time"

	"github.com/playgate/playgate/playback"
)

// entry is a token and what keeps it fresh. It is laid out for a cache of a
// million of them: 48 bytes, and few pointers for the collector to follow. The
// token itself says what its claims are, so they are not kept beside it.
//
// Guarded by shard.mu, except index. token, of and exp never change; l and g
// do not once the entry is in use.
type entry struct {
	token playback.Token
	of    *seal
	exp   int64  // Unix seconds: the token is of no use from then on
	l, g  int32  // of its playback.Lifetime, seconds; both 0: no later exp can be had
	era   uint32 // of.era when it was last seen in use; 0: it was asked for once
	index int32  // in schedule.heap; notPlanned: not in it (guarded by schedule.mu)
}

const notPlanned = -1

func newEntry(token playback.Token, of *seal, exp int64, life playback.Lifetime) *entry {
	e := &entry{token: token, of: of, exp: exp, index: notPlanned}
	e.live(life)
	return e
}

// live takes over a lifetime. Beyond 68 years nothing is planned.
func (e *entry) live(life playback.Lifetime) {
	if life.Cut || life.G <= 0 || life.L > math.MaxInt32 || life.L < 0 {
		e.l, e.g = 0, 0
		return
	}
	e.l, e.g = int32(life.L), int32(min(life.G, life.L+1)) //nolint:gosec // checked
}

func (e *entry) inUse() bool { return e.era != 0 }

func (e *entry) lifetime() playback.Lifetime {
	return playback.Lifetime{L: int64(e.l), G: int64(e.g), Exp: e.exp, Cut: e.g == 0}
}

// rollover returns when requests stop to ask for the token.
func (e *entry) rollover() time.Time { return rollover(e.lifetime()) }

// rollover returns when requests stop to ask for the tokens of a lifetime and
// compute a later exp (contract §4): L before exp; or, where no later one can
// be had, exp.
func rollover(life playback.Lifetime) time.Time {
	if life.Cut {
		return time.Unix(life.Exp, 0)
	}
	return time.Unix(life.Exp-life.L, 0)
}

// claimsOf returns the claims of an entry.
func (c *Cache) claimsOf(e *entry) (playback.Claims, error) {
	claims, err := c.signer.Claims(e.token)
	claims.Environment, claims.Kid = e.of.env, e.of.kid
	claims.Key, claims.Thumbprint = e.of.key.ID, e.of.key.Thumbprint
	return claims, err
}

// What an entry takes beside the bytes of its token, on a 64-bit machine:
// itself, and its places in the map and the list of simplelru; then its place
// in the schedule. TestBytesAreCountedHonestly holds them against the heap.
const (
	entryOverhead = 224
	planOverhead  = 20
)

// size estimates what the entry takes, in bytes.
func (e *entry) size() int64 {
	n := entrySize(e.token)
	if e.inUse() {
		n += planOverhead
	}
	return n
}

// entrySize estimates an entry that is not in use, in bytes. The allocator
// rounds strings of this length up by an eighth at most.
func entrySize(token playback.Token) int64 {
	n := int64(token.Len())
	return entryOverhead + n + n/16
}
