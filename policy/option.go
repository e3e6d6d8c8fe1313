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
	program cel.Program
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
	now, known := s.all.base.at(d.at)
	works := func(v ref.Val) bool {
		if v == nil && !known || v != nil && known && equal(v, now) || s.spent() {
			return false
		}
		return wanted(s.world.with(assignment{d.at, v}))
	}
	var found []option
	for _, n := range d.noted {
		if works(n.value) {
			found = append(found, option{d.at, []ref.Val{n.value}, d.at.String() + " " + n.note})
		}
	}
	if d.at.shape == nowPlace {
		return append(found, s.times(c, d, works)...)
	}
	if len(d.borders) > 0 {
		found = append(found, ranges(d, works)...)
	}
	equals, failing := []ref.Val(nil), []ref.Val(nil)
	for _, v := range d.equal {
		if works(v) {
			equals = append(equals, v)
		} else {
			failing = append(failing, v)
		}
	}
	other := fresh(d, now)
	switch {
	case other != nil && len(d.borders) == 0 && works(other):
		found = append(found, option{d.at, []ref.Val{other}, anyBut(d.at, failing, now, other)})
	case len(equals) > 0:
		found = append(found, option{d.at, equals, oneOf(d.at, equals)})
	case len(found) == 0 && known && works(nothing(d.at)):
		found = append(found, option{d.at, []ref.Val{nothing(d.at)}, d.at.String() + " is absent"})
	}
	return found
}

// anyBut says that anything will do, except for the values that do not.
func anyBut(at place, failing []ref.Val, now, sample ref.Val) string {
	if now != nil && !isZero(now) && !contains(failing, now) {
		if len(failing) == 0 {
			return fmt.Sprintf("%s is not %s (such as %s)", at, text(now), text(sample))
		}
		failing = append(failing, now)
	}
	if len(failing) == 0 {
		return fmt.Sprintf("%s is there (such as %s)", at, text(sample))
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

// fresh returns a value that no condition compares the place with, of the type
// that it has now or is compared with; nil if there is none.
func fresh(d *domain, now ref.Val) ref.Val {
	if d.at.shape == requestShape && (d.at.field == requestCountry || d.at.field == requestType) {
		return freshWord(d)
	}
	like := now
	if len(d.equal) > 0 {
		like = d.equal[0]
	}
	switch like.(type) {
	case types.Double:
		return types.Double(987_654_321)
	case types.Int:
		return types.Int(987_654_321)
	case types.String:
	case nil:
	default:
		return nil
	}
	if d.at.shape == requestShape && d.at.field == requestIP {
		if len(d.noted) > 0 {
			return nil // the networks say it better
		}
		return types.String(elsewhere)
	}
	if d.at.shape == playbackShape && d.at.field == playbackPolicy {
		return freshWord(d)
	}
	return types.String("another")
}

// freshWord picks a word of a closed vocabulary.
func freshWord(d *domain) ref.Val {
	words := []string{"US", "DE", "GB", "FR", "BR", "IN", "JP", "NG", "AU", "CA", "AQ"}
	switch {
	case d.at.shape == playbackShape:
		words = []string{string(playback.PolicySigned), string(playback.PolicyDRM), string(playback.PolicyPublic)}
	case d.at.field == requestType:
		return nil // all of them are tried
	}
	for _, w := range words {
		if !contains(d.equal, types.String(w)) {
			return types.String(w)
		}
	}
	return nil
}

// ranges describes from or up to where a number, or a text in its order, will do.
func ranges(d *domain, works func(ref.Val) bool) []option {
	var found []option
	for _, border := range d.borders {
		below, above := beside(border)
		at, over, under := works(border), above != nil && works(above), below != nil && works(below)
		value := border
		var sign string
		switch {
		case at && over:
			sign = "≥"
		case at && under:
			sign = "≤"
		case at:
			sign = "="
		case over:
			sign, value = ">", above
		case under:
			sign, value = "<", below
		default:
			continue
		}
		found = append(found, option{d.at, []ref.Val{value}, fmt.Sprintf("%s %s %s", d.at, sign, text(border))})
	}
	return found
}

// beside returns the values just below and above a border.
func beside(border ref.Val) (below, above ref.Val) {
	switch v := border.(type) {
	case types.Int:
		return v - 1, v + 1
	case types.Double:
		return v - 1, v + 1
	case types.Timestamp:
		return types.Timestamp{Time: v.Time.Add(-time.Second)}, types.Timestamp{Time: v.Time.Add(time.Second)}
	case types.String:
		if t, err := time.Parse(time.RFC3339, string(v)); err == nil { // a condition makes a timestamp of it
			return types.String(t.Add(-time.Second).Format(time.RFC3339)), types.String(t.Add(time.Second).Format(time.RFC3339))
		}
		return nil, v + "~"
	}
	return nil, nil
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
	var found []option
	try := func(t time.Time, words string, border time.Time) bool {
		v := types.Timestamp{Time: t}
		if !works(v) {
			return false
		}
		found = append(found, option{d.at, []ref.Val{v}, words + " " + writeTime(border)})
		return true
	}
	for _, t := range borders {
		if t.After(now) && try(t, "from", t) || !t.Before(now) && try(t.Add(time.Second), "after", t) {
			break
		}
	}
	for _, t := range slices.Backward(borders) {
		if !t.After(now) && (try(t, "until", t) || try(t.Add(-time.Second), "before", t)) {
			break
		}
	}
	return found
}

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
