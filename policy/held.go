package policy

import (
	"cmp"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

// ReadsGrants reports whether any rule reads viewer.grants: only then need
// anybody look up what the viewer holds.
func (p *Policy) ReadsGrants() bool { return p.readsGrants }

// ReadsPlace reports whether any rule reads request.country, region or asn:
// only then need anybody find out where the viewer is.
func (p *Policy) ReadsPlace() bool { return p.readsPlace }

// noteReads finds out, once the rules are compiled, what they want to know.
func (p *Policy) noteReads() {
	for _, r := range p.rules() {
		for _, e := range r.expressions() {
			p.readsGrants = p.readsGrants || e.readsGrants
			p.readsPlace = p.readsPlace || e.readsPlace
		}
		if r.deny && r.when.readsGrants {
			p.grantDenies = append(p.grantDenies, r)
		}
	}
}

// expressions are all that a rule asks.
func (r *rule) expressions() []*expression {
	all := []*expression{r.when}
	if r.until != nil {
		all = append(all, r.until)
	}
	for _, c := range r.custom {
		all = append(all, c.value)
	}
	return all
}

// reads reports whether an expression can see a field of a variable: it names
// it, or does something with the variable as a whole.
func reads(checked *cel.Ast, variable string, fields ...string) bool {
	is := func(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == variable }
	var find func(ast.Expr) bool
	find = func(e ast.Expr) bool {
		switch e.Kind() {
		case ast.IdentKind:
			return is(e)
		case ast.SelectKind:
			if is(e.AsSelect().Operand()) {
				return slices.Contains(fields, e.AsSelect().FieldName())
			}
		case ast.CallKind:
			call := e.AsCall()
			if args := call.Args(); call.FunctionName() == operators.OptSelect && is(args[0]) {
				name, ok := literal(args[1])
				return !ok || slices.Contains(fields, name)
			}
		default:
		}
		return slices.ContainsFunc(children(e), find)
	}
	return find(checked.NativeRep().Expr())
}

// restsOn returns the rights without which the rules would not have decided for
// r, as few as possible: those that wait are left out first, so that no rental
// begins where another right suffices, and then those that end first. nil: none
// are needed. It leaves the activation with all of them.
func (p *Policy) restsOn(r *rule, a *activation) []playback.Held {
	held := a.rights
	if len(held) == 0 || !r.when.readsGrants && len(p.grantDenies) == 0 {
		return nil
	}
	now := a.question.Now
	order := make([]int, len(held))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return leaveOutFirst(&held[i], &held[j], now) })
	all := a.grants()
	needed := slices.Clone(all)
	kept := make([]bool, len(held))
	for _, i := range order {
		needed[i] = nil
		a.viewer = a.viewerWith(present(needed))
		if kept[i] = !p.decidesFor(r, a); kept[i] {
			needed[i] = all[i]
		}
	}
	a.viewer = a.viewerWith(all)
	var rests []playback.Held
	for i := range held {
		if kept[i] {
			rests = append(rests, held[i])
		}
	}
	return rests
}

// leaveOutFirst orders rights by how gladly they are left out.
func leaveOutFirst(a, b *playback.Held, now time.Time) int {
	if a.Waits() != b.Waits() {
		if a.Waits() {
			return -1
		}
		return 1
	}
	x, y := a.End(now), b.End(now)
	switch {
	case x.IsZero() && y.IsZero():
		return cmp.Compare(b.ID, a.ID)
	case x.IsZero():
		return 1
	case y.IsZero():
		return -1
	}
	return cmp.Or(x.Compare(y), cmp.Compare(b.ID, a.ID))
}

// decidesFor reports whether r still matches, and no deny rule does that cares.
func (p *Policy) decidesFor(r *rule, a *activation) bool {
	for _, d := range p.grantDenies {
		if matches, err := d.when.holds(a); matches || err != nil {
			return false
		}
	}
	if !r.when.readsGrants {
		return true
	}
	matches, err := r.when.holds(a)
	return matches && err == nil
}

func present(vals []ref.Val) []ref.Val {
	return slices.DeleteFunc(slices.Clone(vals), func(v ref.Val) bool { return v == nil })
}

// grants returns the rights that are known as CEL values, in their order.
func (a *activation) grants() []ref.Val {
	if a.held == nil && len(a.rights) > 0 {
		a.held = make([]ref.Val, len(a.rights))
		for i := range a.rights {
			a.held[i] = toGrant(&a.rights[i], nil)
		}
	}
	return a.held
}

// viewerWith returns the question's viewer, holding the given rights.
func (a *activation) viewerWith(grants []ref.Val) *object {
	viewer := a.constants.viewerOf(a.question.Viewer)
	if len(grants) == 0 {
		return viewer
	}
	copied := *viewer
	copied.members[viewerGrants] = types.NewRefValList(types.DefaultTypeAdapter, grants)
	return &copied
}

// toGrant converts a right. What it does not have is no member of the map: a
// right without end has no until. extra are members that only tests have.
func toGrant(h *playback.Held, extra map[string]any) ref.Val {
	vals := make(map[string]any, 8+len(extra))
	for name, value := range extra {
		vals[name] = toCEL(value)
	}
	vals["id"] = types.String(h.ID)
	vals["type"] = types.String(h.Type)
	vals["scope"] = toScope(h.Scope)
	vals["attributes"] = toMap(h.Attributes)
	for name, at := range map[string]time.Time{"from": h.From, "until": h.Until, "first_play": h.FirstPlay} {
		if !at.IsZero() {
			vals[name] = timestamp(at)
		}
	}
	if h.PlayWithin > 0 {
		vals["play_within"] = types.Duration{Duration: h.PlayWithin}
	}
	return newSortedMap(vals)
}

func toScope(s playback.Scope) ref.Val {
	if s.Kind == playback.ScopeAll {
		return newSortedMap(map[string]any{string(s.Kind): types.True})
	}
	return newSortedMap(map[string]any{string(s.Kind): types.String(s.Value)})
}
