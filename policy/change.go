package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

// DecisionChange is one way in which two answers to one question differ that
// both allow, or both refuse.
type DecisionChange struct {
	What     string // ttl, types, params.video.max_resolution, reason, …
	Old, New string // as a document writes it; "none" where there is nothing
}

// String returns "ttl 1h → 2h".
func (c DecisionChange) String() string { return c.What + " " + c.Old + " → " + c.New }

// sameAnswer reports whether two answers that both allow give the same, or two
// that both refuse say the same: the rules may have other names.
func sameAnswer(a, b *playback.Decision) bool {
	if a.Refusal != nil || b.Refusal != nil {
		return a.Refusal != nil && b.Refusal != nil && a.Refusal.Code == b.Refusal.Code
	}
	if a.Custom != b.Custom || !a.Until.Equal(b.Until) {
		return false
	}
	x, y := a.Grant, b.Grant
	if x.TTL != y.TTL || x.CoverDuration != y.CoverDuration || x.Types != y.Types || x.RestrictionID != y.RestrictionID || x.BoundToSession != y.BoundToSession {
		return false
	}
	for t := range playback.TokenTypes {
		if !slices.Equal(x.Forced(t), y.Forced(t)) || !maps.Equal(x.ViewerParams[t], y.ViewerParams[t]) {
			return false
		}
	}
	return list(x.Renditions) == list(y.Renditions) && slices.EqualFunc(a.Held, b.Held, func(g, h playback.Held) bool { return g.ID == h.ID })
}

// changesOf says what is different about two answers of which sameAnswer is
// false, and that both allow or both refuse.
func changesOf(a, b *playback.Decision) []DecisionChange {
	if a.Refusal != nil || b.Refusal != nil {
		return []DecisionChange{{"reason", decider(*a), decider(*b)}}
	}
	var all []DecisionChange
	note := func(what, before, after string) {
		if before != after {
			all = append(all, DecisionChange{what, cmp.Or(before, "none"), cmp.Or(after, "none")})
		}
	}
	x, y := a.Grant, b.Grant
	note("ttl", ttlText(x.TTL), ttlText(y.TTL))
	note("cover_duration", fmt.Sprint(x.CoverDuration), fmt.Sprint(y.CoverDuration))
	note("types", typeNames(x.Types), typeNames(y.Types))
	for t := range playback.TokenTypes {
		for _, name := range paramNames(x.Forced(t), y.Forced(t)) {
			note(fmt.Sprintf("params.%s.%s", t, name), paramText(x.Forced(t), name), paramText(y.Forced(t), name))
		}
		if !maps.Equal(x.ViewerParams[t], y.ViewerParams[t]) {
			note("viewer_params."+t.String(), list(slices.Sorted(maps.Keys(x.ViewerParams[t]))), list(slices.Sorted(maps.Keys(y.ViewerParams[t]))))
		}
	}
	note("renditions", list(x.Renditions), list(y.Renditions))
	note("playback_restriction_id", string(x.RestrictionID), string(y.RestrictionID))
	note("bound_to_session", fmt.Sprint(x.BoundToSession), fmt.Sprint(y.BoundToSession))
	note("until", endText(a.Until), endText(b.Until))
	note("rests_on", list(heldIDs(a.Held)), list(heldIDs(b.Held)))
	return append(all, customChanges(a.Custom, b.Custom)...)
}

func ttlText(d time.Duration) string {
	if d == 0 {
		return "default"
	}
	return playback.FormatDuration(d)
}

func endText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return writeTime(t)
}

func heldIDs(held []playback.Held) []string {
	ids := make([]string, len(held))
	for i := range held {
		ids[i] = held[i].ID
	}
	return ids
}

func paramNames(a, b playback.Params) []string {
	var names []string
	for _, p := range slices.Concat(a, b) {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func paramText(ps playback.Params, name string) string {
	p, ok := ps.Get(name)
	if !ok {
		return ""
	}
	return strings.Trim(p.JSON, `"`)
}

// customChanges compares the custom claims by their names.
func customChanges(before, after string) []DecisionChange {
	read := func(text string) (claims map[string]json.RawMessage) {
		if json.Unmarshal([]byte(text), &claims) != nil { // "" is none
			return nil
		}
		return claims
	}
	x, y := read(before), read(after)
	var all []DecisionChange
	for _, name := range slices.Sorted(maps.Keys(x)) {
		if string(x[name]) != string(y[name]) {
			all = append(all, DecisionChange{"custom." + name, string(x[name]), cmp.Or(string(y[name]), "none")})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(y)) {
		if _, had := x[name]; !had {
			all = append(all, DecisionChange{"custom." + name, "none", string(y[name])})
		}
	}
	return all
}

// group is what changes are counted by: without values that are another one in
// every answer.
func (c DecisionChange) group() string {
	switch {
	case c.What == "until", c.What == "rests_on", strings.HasPrefix(c.What, "custom."):
		if c.Old == "none" || c.New == "none" {
			return c.What + map[bool]string{true: " is new", false: " is gone"}[c.Old == "none"]
		}
		return c.What
	}
	return c.String()
}
