package playback

import (
	"slices"
	"strings"
	"time"
)

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

// HeldTypes returns the types of rights.
func HeldTypes() []HeldType {
	return []HeldType{HeldSubscription, HeldPurchase, HeldRental, HeldTicket}
}

// ScopeKind says what a right is for.
type ScopeKind string

// The kinds, by the names that the API has for them.
const (
	ScopeAll        ScopeKind = "all"
	ScopePlaybackID ScopeKind = "playback_id"
	ScopeAsset      ScopeKind = "asset_id"
	ScopeLiveStream ScopeKind = "live_stream_id"
	ScopeTag        ScopeKind = "tag"
)

// ScopeKinds returns the kinds of scopes.
func ScopeKinds() []ScopeKind {
	return []ScopeKind{ScopePlaybackID, ScopeAsset, ScopeLiveStream, ScopeTag, ScopeAll}
}

// Scope is what a right is for: everything, or one thing of a kind.
type Scope struct {
	Kind  ScopeKind
	Value string // "" for ScopeAll
}

// String returns "asset A1", "everything".
func (s Scope) String() string {
	switch s.Kind {
	case ScopeAll:
		return "everything"
	case ScopePlaybackID:
		return "playback ID " + s.Value
	case ScopeAsset:
		return "asset " + s.Value
	case ScopeLiveStream:
		return "live stream " + s.Value
	case ScopeTag:
		return "tag " + s.Value
	}
	return "nothing"
}

// JSON returns the scope as the API writes it: {"asset_id": "A1"}.
func (s Scope) JSON() map[string]any {
	if s.Kind == ScopeAll {
		return map[string]any{string(ScopeAll): true}
	}
	return map[string]any{string(s.Kind): s.Value}
}

// ScopeOf returns the narrowest scope that outlives a playback ID: its asset,
// else its live stream, else the ID itself; everything if there is none of them.
func ScopeOf(o *Object) Scope {
	switch {
	case o == nil:
	case o.Asset != nil && o.Asset.ID != "":
		return Scope{ScopeAsset, string(o.Asset.ID)}
	case o.LiveStream != nil && o.LiveStream.ID != "":
		return Scope{ScopeLiveStream, string(o.LiveStream.ID)}
	case o.ID != "":
		return Scope{ScopePlaybackID, string(o.ID)}
	}
	return Scope{Kind: ScopeAll}
}

// Covers reports whether the scope holds a playback ID. A live stream's holds
// what was recorded from it too; a tag's what carries the tag in meta.tags, a
// list of texts or one text with commas.
func (s Scope) Covers(o *Object) bool {
	if s.Kind == ScopeAll {
		return true
	}
	if o == nil || s.Value == "" {
		return false
	}
	switch s.Kind {
	case ScopePlaybackID:
		return s.Value == string(o.ID)
	case ScopeAsset:
		return o.Asset != nil && s.Value == string(o.Asset.ID)
	case ScopeLiveStream:
		return o.LiveStream != nil && s.Value == string(o.LiveStream.ID) ||
			o.Asset != nil && s.Value == string(o.Asset.LiveStreamID)
	case ScopeTag:
		return o.Asset != nil && o.Asset.tagged(s.Value)
	case ScopeAll:
	}
	return false
}

// ScopesCovering returns the scopes that cover an object, each once: those s for
// which s.Covers(o). There are as many as the object has tags, and five more at
// most.
func ScopesCovering(o *Object) []Scope {
	scopes := []Scope{{Kind: ScopeAll}}
	add := func(kind ScopeKind, value string) {
		if s := (Scope{kind, value}); value != "" && !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	if o == nil {
		return scopes
	}
	add(ScopePlaybackID, string(o.ID))
	if o.LiveStream != nil {
		add(ScopeLiveStream, string(o.LiveStream.ID))
	}
	if o.Asset == nil {
		return scopes
	}
	add(ScopeAsset, string(o.Asset.ID))
	add(ScopeLiveStream, string(o.Asset.LiveStreamID))
	for tag := range o.Asset.tags {
		add(ScopeTag, tag)
	}
	return scopes
}

// tagged reports whether meta.tags has the tag.
func (a *Asset) tagged(tag string) bool {
	for t := range a.tags {
		if t == tag {
			return true
		}
	}
	return false
}

// tags calls yield with the tags in meta.tags.
func (a *Asset) tags(yield func(string) bool) {
	switch tags := a.Meta["tags"].(type) {
	case string:
		for t := range strings.SplitSeq(tags, ",") {
			if !yield(strings.TrimSpace(t)) {
				return
			}
		}
	case []any:
		for _, t := range tags {
			if text, ok := t.(string); ok && !yield(text) {
				return
			}
		}
	}
}

// Held is a right that a viewer holds. Rules and the lifetime planner see those
// that are in force now, for the object in question. Immutable.
type Held struct {
	ID    string
	Type  HeldType
	Scope Scope
	From  time.Time // zero: always was
	Until time.Time // zero: never ends by itself
	// PlayWithin is how long the right may be used once it was begun, whole
	// seconds; 0: it does not begin with the first play.
	PlayWithin time.Duration
	FirstPlay  time.Time      // zero: not begun
	Attributes map[string]any // JSON types, numbers as float64; may be nil
}

// Entitlement is a right and whose it is: what is stored.
type Entitlement struct {
	Environment EnvironmentID
	Issuer      string // the alias of the viewer's issuer
	Viewer      string // the issuer's sub
	Held
	CreatedAt, UpdatedAt time.Time // set by whoever stores it
}

// Waits reports whether handing out the first token begins the right's own
// time.
func (h *Held) Waits() bool { return h.PlayWithin > 0 && h.FirstPlay.IsZero() }

// End returns when the right ends if it is used at now, the zero time if it
// never does by itself. One that waits would begin now.
func (h *Held) End(now time.Time) time.Time {
	if h.PlayWithin <= 0 {
		return h.Until
	}
	begun := h.FirstPlay
	if begun.IsZero() {
		begun = now.Truncate(time.Second)
	}
	end := begun.Add(h.PlayWithin)
	if !h.Until.IsZero() && h.Until.Before(end) {
		return h.Until
	}
	return end
}

// Obstacle is a reason why a right cannot be used.
type Obstacle struct {
	Code string `json:"code"`         // other_scope, not_begun, ended or rental_over
	At   int64  `json:"at,omitempty"` // Unix seconds: when it begins or ended
	Text string `json:"text"`
}

// The codes of obstacles.
const (
	ObstacleScope  = "other_scope" // it is for something else
	ObstacleFrom   = "not_begun"   // it begins later
	ObstacleUntil  = "ended"
	ObstacleRental = "rental_over" // its time after the first play is over
)

// Obstacles says why the right cannot be used at now for an object, nil if it
// can.
func (h *Held) Obstacles(o *Object, now time.Time) []Obstacle {
	var all []Obstacle
	note := func(code, words string, at time.Time) {
		all = append(all, Obstacle{code, at.Unix(), words + " " + at.UTC().Format(time.RFC3339)})
	}
	if !h.Scope.Covers(o) {
		all = append(all, Obstacle{Code: ObstacleScope, Text: "is for " + h.Scope.String()})
	}
	if now.Before(h.From) {
		note(ObstacleFrom, "begins at", h.From)
	}
	if !h.Until.IsZero() && !now.Before(h.Until) {
		note(ObstacleUntil, "ended at", h.Until)
	}
	if over := h.FirstPlay.Add(h.PlayWithin); h.PlayWithin > 0 && !h.FirstPlay.IsZero() && !now.Before(over) {
		note(ObstacleRental, "its time after the first play was over at", over)
	}
	return all
}

// InForce reports whether the right can be used at now.
func (h *Held) InForce(now time.Time) bool {
	if now.Before(h.From) {
		return false
	}
	end := h.End(now)
	return end.IsZero() || now.Before(end)
}
