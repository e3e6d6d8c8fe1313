package playback

import "time"

// HeldType says how a viewer came by a right. It changes nothing about who may
// play; rules may tell the types apart.
type HeldType string

// The types.
const (
	HeldSubscription HeldType = "subscription"
	HeldPurchase     HeldType = "purchase"
	HeldRental       HeldType = "rental"
	HeldTicket       HeldType = "ticket"
)

// Held is a right that a viewer holds, as rules and the lifetime planner see
// it: in force now, for the object in question. Immutable.
type Held struct {
	ID    string
	Type  HeldType
	Scope string    // as it was granted: "all", "asset_id:A1", "tag:sport", …
	From  time.Time // zero: always was
	Until time.Time // zero: never ends by itself
	// PlayWithin is how long a rental may be played once it was begun; 0: the
	// right does not begin with the first play.
	PlayWithin time.Duration
	FirstPlay  time.Time // zero: not begun
	Attributes map[string]any
}

// Waits reports whether handing out the first token begins the right's own
// time.
func (h *Held) Waits() bool { return h.PlayWithin > 0 && h.FirstPlay.IsZero() }

// End returns when the right ends if it is used at now, the zero time if it
// never does by itself. A rental that waits would begin now.
func (h *Held) End(now time.Time) time.Time {
	if h.PlayWithin <= 0 {
		return h.Until
	}
	begun := h.FirstPlay
	if begun.IsZero() {
		begun = now
	}
	end := begun.Add(h.PlayWithin)
	if !h.Until.IsZero() && h.Until.Before(end) {
		return h.Until
	}
	return end
}

// InForce reports whether the right can be used at now.
func (h *Held) InForce(now time.Time) bool {
	if now.Before(h.From) {
		return false
	}
	end := h.End(now)
	return end.IsZero() || now.Before(end)
}
