package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/playgate/playgate/playback"
)

// testsCountryNegated reports whether a condition asks which country the viewer
// is not in, and says nothing of viewers whose country is unknown: "ZZ" is not
// "US" either.
func testsCountryNegated(checked *cel.Ast) bool {
	s := countrySearch{}
	s.walk(checked.NativeRep().Expr(), false)
	return s.negated && !s.aware
}

type countrySearch struct {
	negated bool
	aware   bool // the condition mentions "ZZ", or has(request.country)
}

// walk looks for request.country below an odd number of negations.
func (s *countrySearch) walk(e ast.Expr, negated bool) {
	if isField(e, "request", "country") {
		s.negated = s.negated || negated
		return
	}
	switch e.Kind() {
	case ast.LiteralKind:
		s.aware = s.aware || e.AsLiteral() == types.String(playback.UnknownCountry)
	case ast.SelectKind:
		sel := e.AsSelect()
		s.aware = s.aware || sel.IsTestOnly() && sel.FieldName() == "country"
		s.walk(sel.Operand(), negated)
	case ast.CallKind:
		call := e.AsCall()
		if flips(call) {
			negated = !negated
		}
		s.all(children(e), negated)
	default:
		s.all(children(e), negated)
	}
}

func (s *countrySearch) all(list []ast.Expr, negated bool) {
	for _, e := range list {
		s.walk(e, negated)
	}
}

// flips reports whether a call is true where its operands' comparison is false.
func flips(call ast.CallExpr) bool {
	switch call.FunctionName() {
	case operators.LogicalNot:
		return true
	case operators.NotEquals:
		return !hasLiteral(call, types.False)
	case operators.Equals:
		return hasLiteral(call, types.False)
	}
	return false
}

func hasLiteral(call ast.CallExpr, value types.Bool) bool {
	for _, arg := range call.Args() {
		if arg.Kind() == ast.LiteralKind && arg.AsLiteral() == value {
			return true
		}
	}
	return false
}

// isField reports whether e is variable.field or variable.?field.
func isField(e ast.Expr, variable, field string) bool {
	isVariable := func(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == variable }
	switch e.Kind() {
	case ast.SelectKind:
		sel := e.AsSelect()
		return !sel.IsTestOnly() && sel.FieldName() == field && isVariable(sel.Operand())
	case ast.CallKind:
		call := e.AsCall()
		args := call.Args()
		return call.FunctionName() == operators.OptSelect && len(args) == 2 && isVariable(args[0]) &&
			args[1].Kind() == ast.LiteralKind && args[1].AsLiteral() == types.String(field)
	default:
		return false
	}
}

// children returns the direct parts of an expression.
func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			return append([]ast.Expr{call.Target()}, call.Args()...)
		}
		return call.Args()
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var parts []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			parts = append(parts, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return parts
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		return []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()}
	default: // literals and names; rules build no objects
		return nil
	}
}

// exposes names the personal datum that an expression hands out as it is, ""
// if there is none.
func exposes(checked *cel.Ast) string {
	var find func(ast.Expr) string
	find = func(e ast.Expr) string {
		switch {
		case checked.NativeRep().GetType(e.ID()).Kind() == types.BoolKind:
			return "" // says something about it, but not what it is
		case isField(e, "viewer", "id"):
			return "viewer.id"
		case isField(e, "request", "ip"):
			return "request.ip"
		case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == pseudonymFunction:
			return ""
		}
		for _, part := range children(e) {
			if name := find(part); name != "" {
				return name
			}
		}
		return ""
	}
	return find(checked.NativeRep().Expr())
}

func callsPseudonym(checked *cel.Ast) bool {
	found := false
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		found = found || e.Kind() == ast.CallKind && e.AsCall().FunctionName() == pseudonymFunction
	}))
	return found
}
