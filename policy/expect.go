package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

// outcome is what a test's question got, as `expect` sees it.
type outcome struct {
	decision   playback.Decision
	defaultTTL time.Duration
}

func (o outcome) effect() string {
	if o.decision.Refusal == nil {
		return "allow"
	}
	return "deny"
}

func (o outcome) code() string {
	if o.decision.Refusal == nil {
		return ""
	}
	return string(o.decision.Refusal.Code)
}

// check compares one thing that `expect` names. It returns "" if it is as
// expected, else what was got and what was wanted.
type check func(outcome) string

// compare makes a check of two texts; path names the thing.
func compare(path, want string, got func(outcome) string) check {
	return func(o outcome) string {
		if g := got(o); g != want {
			return fmt.Sprintf("%s: got %s, want %s", path, orNothing(g), orNothing(want))
		}
		return ""
	}
}

// compareEffect also says why it was refused: the first thing one would ask.
func compareEffect(want string) check {
	return func(o outcome) string {
		switch o.effect() {
		case want:
			return ""
		case "deny":
			return fmt.Sprintf("effect: got deny (%s), want %s", o.code(), want)
		default:
			return fmt.Sprintf("effect: got allow (rule %s), want %s", o.decision.Rule, want)
		}
	}
}

// granted makes a check of something that only a grant has.
func granted(path, want string, got func(*playback.Grant) string) check {
	return compare(path, want, func(o outcome) string {
		if o.decision.Grant == nil {
			return "no grant"
		}
		return got(o.decision.Grant)
	})
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// expect reads what a test wants. Only what it names is compared.
func (d *decoder) expect(n node) []check {
	var checks []check
	add := func(c ...check) { checks = append(checks, c...) }
	code := func(v node) {
		if want, ok := d.text(v); ok {
			add(compare(last(v.path), want, outcome.code))
		}
	}
	d.fields(n, map[string]func(node){
		"effect": func(v node) { add(compareEffect(d.effect(v))) },
		"rule": func(v node) {
			if want, ok := d.text(v); ok {
				add(compare("rule", want, func(o outcome) string { return o.decision.Rule }))
			}
		},
		"code":   code,
		"reason": code,
		"ttl": func(v node) {
			want := d.duration(v)
			add(func(o outcome) string {
				return granted("ttl", playback.FormatDuration(want), func(g *playback.Grant) string { return playback.FormatDuration(cmp.Or(g.TTL, o.defaultTTL)) })(o)
			})
		},
		"cover_duration": func(v node) {
			want := d.boolean(v)
			add(granted("cover_duration", strconv.FormatBool(want), func(g *playback.Grant) string { return strconv.FormatBool(g.CoverDuration) }))
		},
		"types": func(v node) {
			add(granted("types", typeNames(d.types(v)), func(g *playback.Grant) string { return typeNames(g.Types) }))
		},
		"params":        func(v node) { add(d.expectParams(v)...) },
		"viewer_params": func(v node) { add(d.expectViewerParams(v)...) },
		"renditions": func(v node) {
			add(granted("renditions", list(d.renditions(v)), func(g *playback.Grant) string { return list(g.Renditions) }))
		},
		"playback_restriction_id": func(v node) {
			if want, ok := d.text(v); ok {
				add(granted("playback_restriction_id", want, func(g *playback.Grant) string { return string(g.RestrictionID) }))
			}
		},
		"custom": func(v node) { add(d.expectCustom(v)...) },
		"bound_to_session": func(v node) {
			want := d.boolean(v)
			add(granted("bound_to_session", strconv.FormatBool(want), func(g *playback.Grant) string { return strconv.FormatBool(g.BoundToSession) }))
		},
		"until": func(v node) {
			add(compare("until", moment(d.moment(v)), func(o outcome) string { return moment(o.decision.Until) }))
		},
		"rests_on": func(v node) {
			var want []string
			d.names(v, func(id string, _ node) { want = append(want, id) })
			add(compare("rests_on", list(want), func(o outcome) string {
				var got []string
				for i := range o.decision.Held {
					got = append(got, o.decision.Held[i].ID)
				}
				return list(got)
			}))
		},
	})
	return checks
}

func (d *decoder) expectParams(n node) (checks []check) {
	all := d.params(n)
	for t := range playback.TokenTypes {
		for _, want := range all[t] {
			checks = append(checks, granted("params."+t.String()+"."+want.Name, want.JSON, func(g *playback.Grant) string {
				got, _ := g.Implied(t).Get(want.Name)
				return got.JSON
			}))
		}
	}
	return checks
}

func (d *decoder) expectViewerParams(n node) (checks []check) {
	var wanted playback.Grant
	d.viewerParams(n, &wanted)
	for t := range playback.TokenTypes {
		if wanted.ViewerParams[t] == nil {
			continue
		}
		names := func(s playback.NameSet) string { return list(slices.Collect(maps.Keys(s))) }
		checks = append(checks, granted("viewer_params."+t.String(), names(wanted.ViewerParams[t]), func(g *playback.Grant) string {
			return names(g.ViewerParams[t])
		}))
	}
	return checks
}

func (d *decoder) expectCustom(n node) (checks []check) {
	claims := d.object(n)
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		want, err := canonicalJSON(claims[name])
		if err != nil { // YAML's .inf and .nan
			d.problem(n, "%s has no JSON form", name)
			continue
		}
		checks = append(checks, compare("custom."+name, want, func(o outcome) string {
			var got map[string]json.RawMessage
			if o.decision.Custom == "" || json.Unmarshal([]byte(o.decision.Custom), &got) != nil {
				return ""
			}
			return string(got[name])
		}))
	}
	return checks
}

// moment writes a time as documents do, "" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func typeNames(s playback.TypeSet) string {
	var names []string
	for t := range playback.TokenTypes {
		if s.Has(t) {
			names = append(names, t.String())
		}
	}
	return strings.Join(names, ", ")
}

func list(names []string) string { return strings.Join(slices.Sorted(slices.Values(names)), ", ") }

// last returns the last member of a path.
func last(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
