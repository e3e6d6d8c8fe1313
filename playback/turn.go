package playback

// Turn says how a signature waits for its turn in the signing queue.
type Turn struct {
	// Caller is the fair-share identity: one caller holds at most an eighth of
	// the queue. Empty only for work of the gateway's own.
	Caller string
	// Patient callers that hold their share wait for a place of it to become
	// free (bundles and batches, which feed their own misses); others are
	// refused at once.
	Patient bool
	// Ahead marks refresh-ahead: it is signed only when nobody waits.
	Ahead bool
}
