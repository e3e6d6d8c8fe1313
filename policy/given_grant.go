package policy

import (
	"slices"
	"time"

	"cel.dev/cel-go/common/types/ref"
	"go.yaml.in/yaml/v3"

	"github.com/playgate/playgate/playback"
)

// givenGrant is a right that a test's viewer holds. extra are members that no
// right has: a rule may be tested on them all the same.
type givenGrant struct {
	held  playback.Held
	extra map[string]any
}

// hold gives the question those of the rights that are in force then and for
// what is asked about, as whoever asks the rules in earnest does.
func (t *testCase) hold() {
	q := &t.question
	t.grants = usable(t.rights, q.Object, q.Now)
	q.Grants = nil
	for i := range t.grants {
		q.Grants = append(q.Grants, t.grants[i].held)
	}
}

// usable returns the rights that are in force then for an object.
func usable(rights []givenGrant, o *playback.Object, now time.Time) []givenGrant {
	return slices.DeleteFunc(slices.Clone(rights), func(g givenGrant) bool { return len(g.held.Obstacles(o, now)) > 0 })
}

func grantValues(grants []givenGrant) []ref.Val {
	var vals []ref.Val
	for i := range grants {
		vals = append(vals, toGrant(&grants[i].held, grants[i].extra))
	}
	return vals
}

// givenGrant reads a right. One that does not say what for is for everything.
func (d *decoder) givenGrant(n node) givenGrant {
	g := givenGrant{held: playback.Held{Scope: playback.Scope{Kind: playback.ScopeAll}}, extra: map[string]any{}}
	if n.Kind != yaml.MappingNode {
		d.problem(n, "want a mapping, not %s", kindOf(n))
		return g
	}
	h := &g.held
	d.pairs(n, func(name string, v node) {
		if v.isNull() {
			return
		}
		switch name {
		case "id":
			h.ID, _ = d.text(v)
		case "type":
			h.Type = d.heldType(v)
		case "scope":
			h.Scope = d.scope(v)
		case "from":
			h.From = d.moment(v)
		case "until":
			h.Until = d.moment(v)
		case "first_play":
			h.FirstPlay = d.moment(v)
		case "play_within":
			h.PlayWithin = d.duration(v)
		case "attributes":
			h.Attributes = d.object(v)
		default:
			g.extra[name] = d.json(v, 0)
		}
	})
	return g
}

func (d *decoder) heldType(n node) playback.HeldType {
	text, ok := d.text(n)
	t := playback.HeldType(text)
	if ok && !slices.Contains(playback.HeldTypes(), t) {
		names := words(playback.HeldTypes())
		d.problem(n, "%.40q is no type of right; want one of %s%s", text, list(names), didYouMean(text, names))
	}
	return t
}

// scope reads {asset_id: A1} and the like; {all: true}.
func (d *decoder) scope(n node) (s playback.Scope) {
	d.members(n, func(name string, v node) {
		kind := playback.ScopeKind(name)
		switch {
		case !slices.Contains(playback.ScopeKinds(), kind):
			names := words(playback.ScopeKinds())
			d.problem(v, "unknown key; want one of %s%s", list(names), didYouMean(name, names))
		case s.Kind != "":
			d.problem(v, "a right is for one thing; %s is given too", s.Kind)
		case kind == playback.ScopeAll:
			if s.Kind = kind; !d.boolean(v) {
				d.problem(v, "want true")
			}
		default:
			s.Kind = kind
			s.Value, _ = d.text(v)
		}
	})
	if s.Kind == "" && n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		d.problem(n, "want one of %s", list(words(playback.ScopeKinds())))
	}
	return s
}

func words[T ~string](all []T) []string {
	names := make([]string, len(all))
	for i := range all {
		names[i] = string(all[i])
	}
	return names
}

// moment reads a time, or Unix seconds as the API has them.
func (d *decoder) moment(n node) time.Time {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!int" {
		seconds, _ := d.number(n)
		return time.Unix(int64(seconds), 0)
	}
	return d.time(n)
}
