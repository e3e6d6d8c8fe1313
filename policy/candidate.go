package policy

import (
	"maps"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

const (
	maxPerPlace = 200 // values that are tried for one place
	maxMembers  = 64  // of a list that are tried
	maxKept     = 512 // of a list that is tried with other members beside them
	planPrice   = 200 // of planning a part of a condition
	worldPrice  = 20  // of the variables of a changed question, beside what is copied
)

// domain is what could stand at one place as far as the conditions tell: the
// values that they compare it with, and what is just beside them.
type domain struct {
	at      place
	equal   []ref.Val // values that it is compared with for equality
	borders []ref.Val // values that it is compared with for order
	noted   []noted   // values that stand for many: "in 203.0.113.0/24"
	wishes  []wish    // of viewer.grants: rights that a condition looks for
}

// noted is a value that stands for all that a note describes.
type noted struct {
	value ref.Val
	note  string
}

// collector finds the domains of all places that some conditions read, in the
// light of a question: what is compared with a place may itself be read from
// another.
type collector struct {
	language *language
	base     *activation
	rights   []givenGrant // what the viewer holds, in force or not
	domains  map[string]*domain
	order    []string
	clock    bool // the conditions take the time apart: hours, weekdays

	// Of the condition that is being walked through.
	checked  *ast.AST
	elements map[string]*element // by the loop's variable
}

// element is the member of a list that a loop looks for.
type element struct {
	list   place
	value  []ref.Val            // the member itself
	fields map[string][]ref.Val // members of the member, by dotted path
}

func newCollector(l *language, base *activation, rights []givenGrant) *collector {
	return &collector{language: l, base: base, rights: rights, domains: map[string]*domain{}}
}

// condition collects what one condition compares.
func (c *collector) condition(e ast.Expr, checked *cel.Ast) {
	c.checked, c.elements = checked.NativeRep(), map[string]*element{}
	c.truth(e)
	c.walk(e)
	for _, name := range slices.Sorted(maps.Keys(c.elements)) {
		c.addMember(c.elements[name])
	}
	c.grantMoments()
}

func (c *collector) domain(at place) *domain {
	name := at.String()
	d, ok := c.domains[name]
	if !ok {
		d = &domain{at: at}
		c.domains[name] = d
		c.order = append(c.order, name)
	}
	return d
}

// walk looks at an expression and all its parts.
func (c *collector) walk(e ast.Expr) {
	if c.base.meter.exhausted() != nil {
		return
	}
	switch e.Kind() {
	case ast.ComprehensionKind:
		loop := e.AsComprehension()
		if list, ok := placeOf(loop.IterRange()); ok && c.elements[loop.IterVar()] == nil {
			c.elements[loop.IterVar()] = &element{list: list, fields: map[string][]ref.Val{}}
		}
	case ast.SelectKind:
		if sel := e.AsSelect(); sel.IsTestOnly() {
			if at, ok := memberOfExpr(sel.Operand(), sel.FieldName()); ok {
				c.domain(at)
			}
		}
	case ast.CallKind:
		c.call(e.AsCall())
	default:
	}
	if at, ok := placeOf(e); ok {
		c.domain(at)
	}
	for _, part := range children(e) {
		c.walk(part)
	}
}

// call looks at what a call compares.
func (c *collector) call(call ast.CallExpr) {
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
		for _, arg := range args {
			c.truth(arg)
		}
	case operators.Equals, operators.NotEquals:
		c.compare(args[0], args[1], asEqual)
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		c.compare(args[0], args[1], asBorder)
	case operators.In, operators.OldIn:
		c.membership(args[0], args[1])
	case "sets.contains", "sets.intersects", "sets.equivalent":
		c.shared(args[0], args[1])
		c.shared(args[1], args[0])
	default:
		c.function(call)
	}
}

// reachAs says what a value that is reached was compared for.
type reachAs struct {
	border bool
	note   string
}

var (
	asEqual  = reachAs{}             //nolint:gochecknoglobals // a constant
	asBorder = reachAs{border: true} //nolint:gochecknoglobals // a constant
)

func (c *collector) compare(a, b ast.Expr, as reachAs) {
	if v, ok := c.value(b); ok {
		c.reach(a, v, as)
	}
	if v, ok := c.value(a); ok {
		c.reach(b, v, as)
	}
}

// truth notes that a place stands where true or false is wanted.
func (c *collector) truth(e ast.Expr) {
	if _, ok := placeOf(e); ok {
		c.reach(e, types.True, asEqual)
		c.reach(e, types.False, asEqual)
	}
}

// membership looks at `what in list`.
func (c *collector) membership(what, list ast.Expr) {
	if v, ok := c.value(list); ok {
		n := 0
		for it, isList := iterate(v); isList && it.HasNext() == types.True && n < maxMembers; n++ {
			c.reach(what, it.Next(), asEqual)
		}
	}
	if v, ok := c.value(what); ok && v != types.String("") { // nobody writes nothing into a list
		c.include(list, []ref.Val{v})
	}
}

func iterate(v ref.Val) (traits.Iterator, bool) {
	i, ok := v.(traits.Iterable)
	if !ok {
		return nil, false
	}
	return i.Iterator(), true
}

// shared looks at two lists that are compared as sets.
func (c *collector) shared(list, other ast.Expr) {
	v, ok := c.value(other)
	if !ok {
		return
	}
	members, ok := v.(traits.Lister)
	if !ok {
		return
	}
	var all []ref.Val
	for it := members.Iterator(); it.HasNext() == types.True && len(all) < maxMembers; {
		member := it.Next()
		all = append(all, member)
		c.include(list, []ref.Val{member})
	}
	c.include(list, all)
}

// include notes that a list could hold some members more, or not.
func (c *collector) include(list ast.Expr, members []ref.Val) {
	at, ok := placeOf(list)
	if !ok || len(members) == 0 {
		return
	}
	old, _ := c.base.at(at)
	with, without := []ref.Val{}, []ref.Val{}
	if lister, isList := old.(traits.Lister); isList {
		if length(lister) > maxKept {
			return
		}
		c.base.meter.note(length(lister) * uint64(len(members)))
		for it := lister.Iterator(); it.HasNext() == types.True; {
			member := it.Next()
			with = append(with, member)
			if !contains(members, member) {
				without = append(without, member)
			}
		}
	}
	d := c.domain(at)
	written := joined(members)
	if len(without) < len(with) {
		d.noted = append(d.noted, noted{listOf(without), "does not hold " + written})
	}
	for _, m := range members {
		if !contains(with, m) {
			with = append(with, m)
		}
	}
	d.noted = append(d.noted, noted{listOf(with), "holds " + written})
}

// addMember notes that a list could hold a member such as a loop looks for.
func (c *collector) addMember(member *element) {
	if member.list.isGrants() {
		d := c.domain(member.list)
		d.wishes = append(d.wishes, wishesOf(member)...)
		return
	}
	samples := append([]ref.Val(nil), member.value...)
	if len(member.fields) > 0 {
		samples = append(samples, recordsOf(member)...)
	}
	old, _ := c.base.at(member.list)
	var kept []ref.Val
	if lister, ok := old.(traits.Lister); ok {
		if length(lister) > maxKept {
			return
		}
		for it := lister.Iterator(); it.HasNext() == types.True; {
			kept = append(kept, it.Next())
		}
	}
	d := c.domain(member.list)
	for _, sample := range samples {
		all := append(append([]ref.Val(nil), kept...), sample)
		d.noted = append(d.noted, noted{listOf(all), "holds " + text(sample)})
	}
	if len(kept) > 0 {
		d.noted = append(d.noted, noted{listOf(nil), "is empty"})
	}
}

func contains(list []ref.Val, v ref.Val) bool {
	for _, member := range list {
		if equal(member, v) {
			return true
		}
	}
	return false
}

func equal(a, b ref.Val) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Equal(b) == types.True
}

func listOf(vals []ref.Val) ref.Val { return types.NewRefValList(types.DefaultTypeAdapter, vals) }

// value evaluates a part of a condition by itself; false if it cannot be, as
// inside a loop.
func (c *collector) value(e ast.Expr) (ref.Val, bool) {
	if e.Kind() == ast.LiteralKind {
		return e.AsLiteral(), true
	}
	c.base.meter.note(planPrice)
	program, err := c.language.plan(c.checked, e)
	if err != nil {
		return nil, false
	}
	v, err := program.run(c.base, c.base.meter)
	if err != nil || v == nil || types.IsUnknownOrError(v) {
		return nil, false
	}
	if o, ok := v.(*types.Optional); ok {
		if !o.HasValue() {
			return nil, false
		}
		return o.GetValue(), true
	}
	return v, true
}

// plan makes a program of a part of a checked expression.
func (l *language) plan(checked *ast.AST, e ast.Expr) (*program, error) {
	part := ast.NewCheckedAST(ast.NewAST(e, checked.SourceInfo()), checked.TypeMap(), checked.ReferenceMap())
	return l.program(part, cel.CostLimit(maxCost))
}
