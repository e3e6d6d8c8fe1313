package playback

import "time"

// What Decided.Unread may name.
const (
	UnreadPlace  = "place" // country, region and ASN
	UnreadGrants = "grants"
)

// Decided is one decision with what became of it: what the decision log keeps.
// The question is the caller's, who reuses it.
type Decided struct {
	Environment EnvironmentID
	RequestID   string
	Question    *Question
	Rule        string // "" none
	Code        Code   // why there is no token; "" there is one
	Revision    string // of the rules
	Key         KeyID  // "" no token was signed
	Exp         int64  // Unix seconds, 0 no token
	Bound       string // which end the token's life has
	Started     time.Time
	Latency     time.Duration
	Stale       bool // the keys were not read for a while
	// Unread names what of the question nobody looked up, because the rules did
	// not want to know.
	Unread []string
}
