package policy

import (
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// reach notes the value of the place that an expression is made of for which
// the expression has the value v: it goes back through what the expression does
// with it. What cannot be undone is left.
func (c *collector) reach(e ast.Expr, v ref.Val, as reachAs) {
	if at, ok := placeOf(e); ok {
		c.domain(at).add(fit(v, at), as)
		return
	}
	if c.reachMember(e, v) || e.Kind() != ast.CallKind {
		return
	}
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.Add:
		c.undo(args[0], args[1], goal{v, as}, minus)
		c.undo(args[1], args[0], goal{v, as}, strip)
	case operators.Subtract:
		c.undo(args[0], args[1], goal{v, as}, plus)
		c.undo(args[1], args[0], goal{v, as}, func(v, other ref.Val) ref.Val { return minus(other, v) })
	case operators.Negate:
		if n, ok := v.(traits.Negater); ok {
			c.reach(args[0], n.Negate(), as)
		}
	case "int", "uint", "double", "string", "timestamp", "duration":
		c.convert(args[0], v, as)
	case "lowerAscii", "upperAscii", "trim":
		c.reach(call.Target(), v, as)
	case "ip", "cidr":
		c.reach(args[0], v.ConvertToType(types.StringType), as)
	default:
		c.reachFunction(call, v, as)
	}
}

// goal is a value that an expression should have.
type goal struct {
	value ref.Val
	as    reachAs
}

// undo reaches one operand by what the other is.
func (c *collector) undo(e, other ast.Expr, g goal, back func(v, other ref.Val) ref.Val) {
	if len(placesOf(e)) == 0 {
		return
	}
	if o, ok := c.value(other); ok {
		if next := back(g.value, o); next != nil && !types.IsUnknownOrError(next) {
			c.reach(e, next, g.as)
		}
	}
}

func plus(a, b ref.Val) ref.Val {
	if adder, ok := a.(traits.Adder); ok {
		return adder.Add(b)
	}
	return nil
}

// minus undoes an addition of b, at the end if it is text.
func minus(a, b ref.Val) ref.Val {
	if text, ok := a.(types.String); ok {
		if tail, isText := b.(types.String); isText && strings.HasSuffix(string(text), string(tail)) {
			return types.String(strings.TrimSuffix(string(text), string(tail)))
		}
		return nil
	}
	if s, ok := a.(traits.Subtractor); ok {
		return s.Subtract(b)
	}
	return nil
}

// strip undoes an addition to b.
func strip(a, b ref.Val) ref.Val {
	if text, ok := a.(types.String); ok {
		if head, isText := b.(types.String); isText && strings.HasPrefix(string(text), string(head)) {
			return types.String(strings.TrimPrefix(string(text), string(head)))
		}
		return nil
	}
	return minus(a, b)
}

// convert reaches what a value was converted from. A claim has no type of its
// own: times in claims are numbers (RFC 7519 §2) unless the one at hand is a
// text.
func (c *collector) convert(e ast.Expr, v ref.Val, as reachAs) {
	from := c.checked.GetType(e.ID())
	if from.Kind() == types.DynKind {
		now, ok := c.value(e)
		switch {
		case ok && now.Type() != types.NullType:
			from, _ = now.Type().(*types.Type)
		case v.Type() == types.TimestampType:
			from = types.IntType
		default:
			from = types.DoubleType
		}
	}
	if from == nil {
		return
	}
	if back := v.ConvertToType(from); !types.IsUnknownOrError(back) {
		c.reach(e, back, as)
		return
	}
	if t, ok := v.(types.Timestamp); ok && from.Kind() == types.DoubleKind {
		c.reach(e, types.Double(t.Unix()), as)
	}
}

// fit gives a value the type that stands at a place, nil if none such ever stands
// there. Members of claims are what JSON has: numbers are doubles, times are texts.
func fit(v ref.Val, at place) ref.Val {
	if word, ok := v.(types.String); ok && !at.mayHave(string(word)) {
		return nil
	}
	t := at.typ()
	if t.Kind() != types.DynKind {
		if v.Type().TypeName() == t.TypeName() {
			return v
		}
		if converted := v.ConvertToType(t); !types.IsUnknownOrError(converted) {
			return converted
		}
		return nil
	}
	switch v := v.(type) {
	case types.Int:
		return types.Double(v)
	case types.Uint:
		return types.Double(v)
	case types.Timestamp:
		return types.String(v.UTC().Format(time.RFC3339Nano))
	case types.Duration:
		return nil
	case traits.Lister, traits.Mapper, types.String, types.Bool, types.Double, types.Null:
		return v
	}
	return nil
}

func (d *domain) add(v ref.Val, as reachAs) {
	switch {
	case v == nil:
	case as.note != "":
		d.noted = append(d.noted, noted{v, as.note})
	case as.border:
		if len(d.borders) < maxPerPlace && !contains(d.borders, v) {
			d.borders = append(d.borders, v)
		}
	case len(d.equal) < maxPerPlace && !contains(d.equal, v):
		d.equal = append(d.equal, v)
	}
}

// reachMember notes what a loop's variable, or a member of it, is compared
// with.
func (c *collector) reachMember(e ast.Expr, v ref.Val) bool {
	var keys []string
	for {
		switch e.Kind() {
		case ast.IdentKind:
			member := c.elements[e.AsIdent()]
			if member == nil {
				return false
			}
			member.add(keys, v)
			return true
		case ast.SelectKind:
			keys = append([]string{e.AsSelect().FieldName()}, keys...)
			e = e.AsSelect().Operand()
		case ast.CallKind:
			var ok bool
			if e, keys, ok = throughCall(e.AsCall(), keys); !ok {
				return false
			}
		default:
			return false
		}
	}
}

// throughCall goes through the calls that read a member.
func throughCall(call ast.CallExpr, keys []string) (ast.Expr, []string, bool) {
	switch call.FunctionName() {
	case operators.OptSelect, operators.Index, operators.OptIndex:
		if name, ok := literalText(call.Args()[1]); ok {
			return call.Args()[0], append([]string{name}, keys...), true
		}
	case "orValue", "value":
		return call.Target(), keys, true
	}
	return nil, nil, false
}

func (m *element) add(keys []string, v ref.Val) {
	if len(keys) == 0 {
		if !contains(m.value, v) {
			m.value = append(m.value, v)
		}
		return
	}
	name := strings.Join(keys, "\x00")
	if !contains(m.fields[name], v) {
		m.fields[name] = append(m.fields[name], v)
	}
}
