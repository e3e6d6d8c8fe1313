package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// nowPlace is the shape of places that are `now`, which has no fields.
const nowPlace = shapeCount

// place is where a rule reads a value: a field of a variable, or a member of
// what the field holds.
type place struct {
	shape, field int
	keys         []string
}

func (p place) parts() []string {
	if p.shape == nowPlace {
		return []string{"now"}
	}
	return append([]string{shapes[p.shape].name, shapes[p.shape].fields[p.field].name}, p.keys...)
}

// String returns viewer.claims.plan, or viewer.claims["a.b"] where a key is no
// identifier.
func (p place) String() string {
	var b strings.Builder
	for i, part := range p.parts() {
		switch {
		case i == 0:
			b.WriteString(part)
		case conditionName.MatchString(part):
			b.WriteString("." + part)
		default:
			b.WriteString(`["` + part + `"]`)
		}
	}
	return b.String()
}

// typ is what the checker knows of what is there.
func (p place) typ() *types.Type {
	switch {
	case p.shape == nowPlace:
		return types.TimestampType
	case len(p.keys) > 0:
		return types.DynType
	}
	return shapes[p.shape].fields[p.field].typ
}

// member returns the place of a member of what is at p.
func (p place) member(key string) (place, bool) {
	if p.shape == nowPlace || p.typ().Kind() != types.MapKind && p.typ().Kind() != types.DynKind {
		return place{}, false
	}
	p.keys = append(slices.Clip(p.keys), key)
	return p, true
}

// placeOf returns the place that an expression reads, whatever it makes of one
// where nothing is.
func placeOf(e ast.Expr) (place, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return place{shape: nowPlace}, e.AsIdent() == "now"
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return place{}, false // has() is no value of the place
		}
		return memberOfExpr(e.AsSelect().Operand(), e.AsSelect().FieldName())
	case ast.CallKind:
		call := e.AsCall()
		args := call.Args()
		switch call.FunctionName() {
		case operators.OptSelect, operators.Index, operators.OptIndex:
			if key, ok := literalText(args[1]); ok {
				return memberOfExpr(args[0], key)
			}
		case "orValue", "value":
			return placeOf(call.Target())
		case "dyn":
			return placeOf(args[0])
		}
	default:
	}
	return place{}, false
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}

func memberOfExpr(operand ast.Expr, name string) (place, bool) {
	if operand.Kind() == ast.IdentKind {
		for i := range shapes {
			if shapes[i].name != operand.AsIdent() {
				continue
			}
			for j := range shapes[i].fields {
				if shapes[i].fields[j].name == name {
					return place{shape: i, field: j}, true
				}
			}
		}
		return place{}, false
	}
	if p, ok := placeOf(operand); ok {
		return p.member(name)
	}
	return place{}, false
}

// at returns the value at a place; false if nothing is there.
func (a *activation) at(p place) (ref.Val, bool) {
	if p.shape == nowPlace {
		v, _ := a.ResolveName("now")
		now, ok := v.(ref.Val)
		return now, ok
	}
	v, _ := a.ResolveName(shapes[p.shape].name)
	o, ok := v.(*object)
	if !ok {
		return nil, false
	}
	val := o.member(p.field)
	for _, key := range p.keys {
		m, isMap := val.(traits.Mapper)
		if !isMap {
			return nil, false
		}
		if val, isMap = m.Find(types.String(key)); !isMap {
			return nil, false
		}
	}
	return val, val != nil && !types.IsError(val)
}

// put puts a value at a place of the activation's own copy of a variable; nil
// takes away what is there.
func (a *activation) put(p place, v ref.Val) {
	if p.shape == nowPlace {
		a.now = v
		return
	}
	resolved, _ := a.ResolveName(shapes[p.shape].name)
	o, ok := resolved.(*object)
	if !ok {
		return
	}
	if m, isMap := o.member(p.field).(*sortedMap); isMap {
		a.meter.note(uint64(len(m.vals)))
	}
	copied := *o
	copied.members[p.field] = putMember(o.member(p.field), p.keys, v)
	switch p.shape {
	case viewerShape:
		a.viewer = &copied
	case playbackShape:
		a.playback = &copied
	case assetShape:
		a.asset = &copied
	case liveStreamShape:
		a.liveStream = &copied
	case requestShape:
		a.requested = copied
	case environmentShape:
		a.environment = &copied
	}
}

// putMember returns a value with another one at the keys.
func putMember(in ref.Val, keys []string, v ref.Val) ref.Val {
	if len(keys) == 0 {
		return v
	}
	members := map[string]any{}
	if m, ok := in.(traits.Mapper); ok {
		for it := m.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			if name, isText := key.(types.String); isText {
				members[string(name)] = m.Get(key)
			}
		}
	}
	old, _ := members[keys[0]].(ref.Val)
	if next := putMember(old, keys[1:], v); next != nil {
		members[keys[0]] = next
	} else {
		delete(members, keys[0])
	}
	return newSortedMap(members)
}

// placesOf lists the places that an expression reads, each once, in its order.
func placesOf(e ast.Expr) []place {
	var places []place
	seen := map[string]bool{}
	var find func(ast.Expr)
	find = func(e ast.Expr) {
		p, ok := placeOf(e)
		if !ok && e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
			p, ok = memberOfExpr(e.AsSelect().Operand(), e.AsSelect().FieldName())
		}
		if ok {
			if !seen[p.String()] {
				seen[p.String()] = true
				places = append(places, p)
			}
			return
		}
		for _, part := range children(e) {
			find(part)
		}
	}
	find(e)
	return places
}
