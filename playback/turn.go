package playback

import "time"

// Turn says how a signature waits for its turn in the signing queue.
type Turn struct {
	// Caller is the fair-share identity: one caller holds at most an eighth of
	// the queue. Empty only for work of the gateway's own.
	Caller string
	// Patient callers that hold their share wait for a place of it to become
	// free (bundles and batches, which feed their own misses); others are
	// refused at once.
	Patient bool
	// At is when the request asked, so that the clock is not read again for a
	// token that is there; zero: whoever must know asks the clock.
	At time.Time
	// Ahead marks refresh-ahead: it is signed only when nobody waits.
	Ahead bool
}
