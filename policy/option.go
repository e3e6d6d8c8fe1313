package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

// part is one of the conditions that && joins.
type part struct {
	expr    ast.Expr
	of      *cel.Ast
	program *program
}

// parts takes a condition apart. One whose parts cannot be evaluated by
// themselves is its only part.
func (l *language) parts(e *expression) []*part {
	var parts []*part
	var split func(ast.Expr) bool
	split = func(x ast.Expr) bool {
		if x.Kind() == ast.CallKind && x.AsCall().FunctionName() == operators.LogicalAnd {
			return !slices.ContainsFunc(x.AsCall().Args(), func(arg ast.Expr) bool { return !split(arg) })
		}
		program, err := l.plan(e.ast.NativeRep(), x)
		parts = append(parts, &part{x, e.ast, program})
		return err == nil
	}
	if whole := e.ast.NativeRep().Expr(); !split(whole) {
		return []*part{{whole, e.ast, e.program}}
	}
	return parts
}

func (p *part) holds(a *activation) (bool, error) {
	return (&expression{program: p.program}).holds(a)
}

// options returns what could be done about one place so that something wanted
// comes true, in as few words as possible.
func (s *search) options(c *collector, d *domain, wanted func(*world) bool) []option {
	switch {
	case d.at.shape == environmentShape:
		return nil // nobody asks in the name of another one
	case d.at.isGrants():
		return s.grantOptions(d, wanted)
	}
	for _, w := range vocabulary(d.at) {
		d.add(types.String(w), asEqual)
	}
	also := s.comesWith(d.at)
	now, known := s.all.base.at(d.at)
	works := func(v ref.Val) bool {
		if v == nil && !known || v != nil && known && equal(v, now) || s.spent() {
			return false
		}
		return wanted(s.world.with(append(slices.Clip(also), assignment{d.at, v})...))
	}
	found := s.tried(c, d, works)
	for i := range found {
		found[i].also = also
	}
	return found
}

// comesWith is what a change of one place changes, too: parameters are those of
// one type of token.
func (s *search) comesWith(at place) []assignment {
	if len(s.world.question.Params) == 0 || at.shape != requestShape || at.field != requestType {
		return nil
	}
	return []assignment{{place{shape: requestShape, field: requestParams}, emptyMap()}}
}

func (s *search) tried(c *collector, d *domain, works func(ref.Val) bool) []option {
	var found []option
	for _, n := range d.noted {
		if works(n.value) {
			found = append(found, option{at: d.at, values: []ref.Val{n.value}, text: d.at.String() + " " + n.note})
		}
	}
	if d.at.shape == nowPlace {
		return append(found, s.times(c, d, works)...)
	}
	if len(d.borders) > 0 {
		if spans := ranges(d, works); len(spans) > 0 {
			return append(found, spans...)
		}
	}
	return append(found, s.values(c, d, works, len(found) == 0)...)
}

// values describes with which single values something wanted is so.
// only: nothing else is known about the place.
func (s *search) values(c *collector, d *domain, works func(ref.Val) bool, only bool) []option {
	now, known := s.all.base.at(d.at)
	equals, failing := []ref.Val(nil), []ref.Val(nil)
	for _, v := range d.equal {
		if works(v) {
			equals = append(equals, v)
		} else {
			failing = append(failing, v)
		}
	}
	if fresh := freshValues(d, now); len(fresh) > 0 && !slices.ContainsFunc(fresh, func(v ref.Val) bool { return !works(v) }) {
		return []option{{at: d.at, values: fresh[:1], text: anyBut(d.at, failing, now, works(nothing(d.at)))}}
	}
	switch zero := nothing(d.at); {
	case len(equals) > 1, len(equals) == 1 && !isNothing(d.at, equals[0]):
		return []option{{at: d.at, values: equals, text: oneOf(d.at, equals)}}
	case d.at.isPlaybackID() || c.readsBelow(d.at): // there is one; what is below says it better
	case len(equals) > 0, only && known && works(zero):
		return []option{{at: d.at, values: []ref.Val{zero}, text: d.at.String() + " is " + d.at.nothingText()}}
	}
	return nil
}

// isNothing reports whether a value is the text that stands for none there.
func isNothing(at place, v ref.Val) bool {
	return v == types.String("") || at.isCountry() && v == types.String(playback.UnknownCountry)
}

func (p place) isCountry() bool { return p.shape == requestShape && p.field == requestCountry }

func (p place) isPlaybackID() bool { return p.shape == playbackShape && p.field == playbackID }

func (p place) nothingText() string {
	if p.isCountry() {
		return "unknown"
	}
	return "absent"
}

// readsBelow reports whether conditions read members of what is at the place.
func (c *collector) readsBelow(at place) bool {
	return slices.ContainsFunc(c.order, func(name string) bool {
		p := c.domains[name].at
		return p.shape == at.shape && p.field == at.field && len(p.keys) > len(at.keys) && slices.Equal(p.keys[:len(at.keys)], at.keys)
	})
}

// anyBut says that anything will do, except for the values that do not. empty:
// so will nothing.
func anyBut(at place, failing []ref.Val, now ref.Val, empty bool) string {
	if now != nil && !contains(failing, now) {
		failing = append(failing, now)
	}
	failing = slices.DeleteFunc(failing, func(v ref.Val) bool { return isZero(v) || isNothing(at, v) })
	var set string
	if !empty {
		set = " is set"
	}
	switch {
	case len(failing) == 0:
		return at.String() + map[bool]string{true: " is known", false: " is set"}[at.isCountry()]
	case set != "" && len(failing) == 1:
		return fmt.Sprintf("%s is set, but not %s", at, text(failing[0]))
	case set != "":
		return fmt.Sprintf("%s is set, but ∉ {%s}", at, joined(failing))
	case len(failing) == 1:
		return fmt.Sprintf("%s ≠ %s", at, text(failing[0]))
	}
	return fmt.Sprintf("%s ∉ {%s}", at, joined(failing))
}

// nothing is what stands at a place of which nothing is known: nil for a member,
// the zero of its type for a field.
func nothing(at place) ref.Val {
	if len(at.keys) > 0 {
		return nil
	}
	switch at.typ().Kind() {
	case types.StringKind:
		if at.shape == requestShape && at.field == requestCountry {
			return types.String(playback.UnknownCountry)
		}
		return types.String("")
	case types.BoolKind:
		return types.False
	case types.DoubleKind:
		return types.Double(0)
	case types.IntKind:
		return types.IntZero
	case types.TimestampKind:
		return timestamp(time.Time{})
	case types.ListKind:
		return listOf(nil)
	default:
		return emptyMap()
	}
}

// freshValues are values that no condition compares the place with, such as
// could stand there; none where all that could are tried anyway.
func freshValues(d *domain, now ref.Val) []ref.Val {
	if words := vocabulary(d.at); words != nil {
		return nil
	}
	var all []ref.Val
	switch like := likely(d, now).(type) {
	case types.Double:
		all = []ref.Val{types.Double(987_654_321), types.Double(-1), types.Double(0.5)}
	case types.Int:
		all = []ref.Val{types.Int(987_654_321), types.Int(64_499)}
	case types.String, nil:
		all = freshTexts(d)
		if like == nil && len(d.at.keys) > 0 {
			all = append(all, types.Double(987_654_321), types.True)
		}
	}
	return slices.DeleteFunc(all, func(v ref.Val) bool { return contains(d.equal, v) })
}

// likely is a value of the type that the place has now or is compared with.
func likely(d *domain, now ref.Val) ref.Val {
	if len(d.equal) > 0 {
		return d.equal[0]
	}
	return now
}

func freshTexts(d *domain) []ref.Val {
	if d.at.shape == requestShape {
		switch d.at.field {
		case requestCountry:
			return countriesBut(d.equal)
		case requestIP:
			if len(d.noted) > 0 {
				return nil // the networks say it better
			}
			return []ref.Val{types.String(elsewhere)}
		}
	}
	return []ref.Val{types.String("another"), types.String("X7")}
}

// countriesBut are two countries that are not among the given ones.
func countriesBut(given []ref.Val) []ref.Val {
	var all []ref.Val
	for _, code := range []string{"US", "DE", "GB", "FR", "BR", "IN", "JP", "NG", "AU", "CA", "AQ"} {
		if v := types.String(code); len(all) < 2 && !contains(given, v) {
			all = append(all, v)
		}
	}
	return all
}

// vocabulary lists what can stand at a place that has few words; nil: anything.
func vocabulary(at place) []string {
	if len(at.keys) > 0 {
		return nil
	}
	set := wordsAt(at.shape, at.field)
	if set == nil || set == countryWords {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(set.words), func(word string) bool { return word == "" })
}

// times describes from or until when something is so: the next moment of the
// future, and the last of the past.
func (s *search) times(c *collector, d *domain, works func(ref.Val) bool) []option {
	current, _ := s.all.base.at(d.at)
	stamp, ok := current.(types.Timestamp)
	if !ok {
		return nil
	}
	now, borders := stamp.Time, momentsOf(d)
	if c.clock {
		for t := now.Truncate(scanStep).Add(scanStep); t.Sub(now) < scanFor; t = t.Add(scanStep) {
			borders = append(borders, t)
		}
	}
	slices.SortFunc(borders, time.Time.Compare)
	borders = slices.DeleteFunc(borders, isNoMoment)
	var found []option
	try := func(t time.Time, words string, border time.Time) bool {
		v := types.Timestamp{Time: t}
		if !works(v) {
			return false
		}
		found = append(found, option{at: d.at, values: []ref.Val{v}, text: words + " " + writeTime(border)})
		return true
	}
	for _, t := range borders {
		if t.After(now) && try(t, "from", t) || !t.Before(now) && try(t.Add(time.Second), "after", t) {
			break
		}
	}
	if s.from.allowed {
		return found // when it was otherwise is past
	}
	for _, t := range slices.Backward(borders) {
		if !t.After(now) && (try(t, "until", t) || try(t.Add(-time.Second), "before", t)) {
			break
		}
	}
	return found
}

// isNoMoment reports whether a time stands for "always was" or "never": what
// conditions put in the place of a date that is not there.
func isNoMoment(t time.Time) bool { return t.Year() <= 1970 || t.Year() >= 9999 }

// momentsOf returns the times that a place is compared with.
func momentsOf(d *domain) []time.Time {
	var all []time.Time
	for _, v := range append(slices.Clone(d.borders), d.equal...) {
		if t, ok := v.(types.Timestamp); ok {
			all = append(all, t.Time)
		}
	}
	return all
}

func oneOf(at place, values []ref.Val) string {
	if len(values) > 1 {
		return fmt.Sprintf("%s ∈ {%s}", at, joined(values))
	}
	switch values[0] {
	case types.True:
		return at.String()
	case types.False:
		return "not " + at.String()
	}
	return fmt.Sprintf("%s = %s", at, text(values[0]))
}

// joined writes values in the order of their texts.
func joined(values []ref.Val) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = text(v)
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}
