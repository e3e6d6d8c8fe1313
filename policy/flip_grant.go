package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

// exampleViewer is who holds a right that an explanation thinks of, where nobody
// asked who could hold one.
const exampleViewer = "example"

// grantsPlace is viewer.grants.
func grantsPlace() place { return place{shape: viewerShape, field: viewerGrants} }

func (p place) isGrants() bool {
	return p.shape == viewerShape && p.field == viewerGrants && len(p.keys) == 0
}

// decidesGrants reports whether what is at the place decides which of a viewer's
// rights are in force for what is asked about.
func (p place) decidesGrants() bool {
	switch p.shape {
	case nowPlace:
		return true
	case playbackShape:
		return p.field == playbackID
	case assetShape:
		return p.field == assetID || p.field == assetMeta && (len(p.keys) == 0 || p.keys[0] == "tags")
	case liveStreamShape:
		return p.field == liveStreamID
	}
	return false
}

// regrant gives the changed world the rights that are in force in it.
func (w *world) regrant(a *activation) {
	rights, moved := w.rights, false
	for _, c := range w.changes {
		if c.at.isGrants() {
			list, ok := c.value.(*rightList)
			if !ok {
				return // as it is
			}
			rights, moved = list.rights, true
		}
		moved = moved || c.at.decidesGrants()
	}
	if !moved || len(rights) == 0 && len(w.rights) == 0 {
		return
	}
	now := w.question.Now
	if at, ok := a.at(place{shape: nowPlace}); ok {
		if t, isTime := at.(types.Timestamp); isTime {
			now = t.Time
		}
	}
	a.put(grantsPlace(), listOf(grantValues(usable(rights, w.object(a), now))))
}

// object is what is asked about in the changed world, as far as scopes care.
func (w *world) object(a *activation) *playback.Object {
	text := func(shape, field int) string {
		v, _ := a.at(place{shape: shape, field: field})
		s, _ := v.(types.String)
		return string(s)
	}
	o := &playback.Object{ID: playback.ID(text(playbackShape, playbackID))}
	o.Asset = &playback.Asset{ID: playback.AssetID(text(assetShape, assetID))}
	o.LiveStream = &playback.LiveStream{ID: playback.LiveStreamID(text(liveStreamShape, liveStreamID))}
	if q := w.question.Object; q != nil && q.Asset != nil {
		o.Asset.LiveStreamID = q.Asset.LiveStreamID
	}
	if tags, ok := a.at(place{shape: assetShape, field: assetMeta, keys: []string{"tags"}}); ok {
		if out, known, err := toJSON(tags); err == nil && known {
			o.Asset.Meta = map[string]any{"tags": out}
		}
	}
	return o
}

// grantOptions are what could be done about what the viewer holds: a right that
// is not in force mended, a new one, one less.
func (s *search) grantOptions(d *domain, wanted func(*world) bool) []option {
	q := &s.world.question
	var found []option
	try := func(rights []givenGrant, words string, request *playback.GrantRequest) bool {
		o := option{at: d.at, values: []ref.Val{newRightList(rights)}, text: words, request: request}
		if len(rights) > len(s.world.rights) && (q.Viewer == nil || q.Viewer.ID == "") {
			o.also = []assignment{{place{shape: viewerShape, field: viewerID}, types.String(exampleViewer)}}
			o.text += " (of a viewer with an ID: nobody else holds any)"
		}
		if s.spent() || !wanted(s.world.with(o.assign(o.values[0])...)) {
			return false
		}
		found = append(found, o)
		return true
	}
	for i := range s.world.rights {
		for _, m := range s.mended(&s.world.rights[i].held) {
			g := givenGrant{m.held, s.world.rights[i].extra}
			if try(replaced(s.world.rights, i, g), g.name()+" "+m.words, g.request(q)) {
				break
			}
		}
	}
	added := false
	for _, w := range append(d.wishes, d.anyWish()...) {
		if g, ok := w.right(q.Object); ok && (!added || len(w) > 0) {
			added = try(append(slices.Clip(s.world.rights), g), "viewer.grants holds "+g.words(), g.request(q)) || added
		}
	}
	for i := range s.world.rights {
		g := &s.world.rights[i]
		try(slices.Delete(slices.Clone(s.world.rights), i, i+1), g.name()+" is deleted", deletion(g.held.ID))
	}
	if len(found) == 0 && len(s.world.rights) > 1 {
		try(nil, "viewer.grants is empty", nil)
	}
	return found
}

// name says which right is meant. Only tests give some without an ID.
func (g *givenGrant) name() string {
	if g.held.ID == "" {
		return strings.TrimSpace("the grant without an ID " + string(g.held.Type))
	}
	return "grant " + g.held.ID
}

func deletion(id string) *playback.GrantRequest {
	if id == "" {
		return nil
	}
	return &playback.GrantRequest{Method: "DELETE", Path: "/v1/grants/" + id}
}

func replaced(rights []givenGrant, i int, g givenGrant) []givenGrant {
	next := slices.Clone(rights)
	next[i] = g
	return next
}

// anyWish is a right of any kind, for conditions that only count.
func (d *domain) anyWish() []wish { return []wish{{}} }

// mendedRight is a right without what stood in its way, and in words what was
// done.
type mendedRight struct {
	held  playback.Held
	words string
}

// extensions are how much longer a right is tried to last than until now: the
// least that helps.
func extensions() []time.Duration { return []time.Duration{24 * time.Hour, 366 * 24 * time.Hour} }

// mended returns ways to bring a right into force, the smallest first; nil if it
// is in force.
func (s *search) mended(h *playback.Held) []mendedRight {
	now := s.world.question.Now
	obstacles := h.Obstacles(s.world.question.Object, now)
	if len(obstacles) == 0 {
		return nil
	}
	var all []mendedRight
	for _, longer := range extensions() {
		next := *h
		var words []string
		for _, o := range obstacles {
			at := writeTime(time.Unix(o.At, 0))
			switch o.Code {
			case playback.ObstacleScope:
				next.Scope = playback.ScopeOf(s.world.question.Object)
				words = append(words, fmt.Sprintf("is for %s (it is for %s)", next.Scope, h.Scope))
			case playback.ObstacleFrom:
				next.From = now.Truncate(time.Second)
				words = append(words, fmt.Sprintf("begins now (it begins at %s)", at))
			case playback.ObstacleUntil:
				next.Until = now.Truncate(time.Second).Add(longer)
				words = append(words, fmt.Sprintf("is extended (it ended at %s)", at))
			case playback.ObstacleRental:
				next.PlayWithin = now.Sub(h.FirstPlay).Truncate(time.Hour) + time.Hour + longer
				words = append(words, fmt.Sprintf("is extended by play_within (the time after its first play was over at %s)", at))
			}
		}
		all = append(all, mendedRight{next, strings.Join(words, " and ")})
	}
	return all
}

// grantMoments adds to the moments that are tried those at which a right begins
// or ends.
func (c *collector) grantMoments() {
	if c.domains[grantsPlace().String()] == nil {
		return
	}
	for i := range c.rights {
		h := &c.rights[i].held
		for _, t := range []time.Time{h.From, h.Until, h.FirstPlay.Add(h.PlayWithin)} {
			if t.Unix() > 0 {
				c.domain(place{shape: nowPlace}).add(types.Timestamp{Time: t.UTC()}, asBorder)
			}
		}
	}
}

// wishesOf lists the rights that a loop could look for, out of what it compares
// their members with.
func wishesOf(m *element) []wish {
	all := []wish{{}}
	for _, name := range slices.Sorted(maps.Keys(m.fields)) {
		var next []wish
		for _, w := range all {
			for _, v := range m.fields[name] {
				for _, near := range withNear(v) {
					with := maps.Clone(w)
					with[name] = near
					next = append(next, with)
				}
			}
		}
		all = next[:min(len(next), maxRecords)]
	}
	return slices.DeleteFunc(all, func(w wish) bool { return len(w) == 0 })
}

// withNear returns a value and, where there is an order, what lies beside it.
func withNear(v ref.Val) []ref.Val {
	switch v := v.(type) {
	case types.Timestamp:
		return []ref.Val{v, types.Timestamp{Time: v.Time.Add(24 * time.Hour)}, types.Timestamp{Time: v.Time.Add(-time.Hour)}}
	case types.Int:
		return withNear(types.Double(v)) // as JSON has it
	case types.Double:
		return []ref.Val{v, v + 1, v - 1}
	case types.Duration:
		return []ref.Val{v, types.Duration{Duration: v.Duration + time.Hour}, types.Duration{Duration: v.Duration - time.Hour}}
	}
	return []ref.Val{v}
}
