package policy

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// ifKnown writes a condition as it is for a playback ID that the catalogue has:
// playback.known is true in it. With an outcome of isTrue or isFalse that is all
// that is left of the condition; isError: the expression is.
func ifKnown(e ast.Expr) (ast.Expr, logical) {
	switch e.Kind() {
	case ast.SelectKind:
		sel := e.AsSelect()
		if at, ok := memberOfExpr(sel.Operand(), sel.FieldName()); ok && at.shape == playbackShape && at.field == playbackKnown {
			return nil, isTrue
		}
	case ast.CallKind:
		return knownCall(e)
	default:
	}
	return e, isError
}

func knownCall(e ast.Expr) (ast.Expr, logical) {
	call := e.AsCall()
	args := call.Args()
	switch name := call.FunctionName(); name {
	case operators.LogicalAnd:
		return knownJoined(e, isFalse)
	case operators.LogicalOr:
		return knownJoined(e, isTrue)
	case operators.LogicalNot:
		inner, value := ifKnown(args[0])
		if value != isError {
			return nil, opposite(value)
		}
		return rebuilt(e, inner), isError
	case operators.Conditional:
		switch _, value := ifKnown(args[0]); value {
		case isTrue:
			return ifKnown(args[1])
		case isFalse:
			return ifKnown(args[2])
		case isError:
		}
	case operators.Equals, operators.NotEquals:
		for i, arg := range args {
			wanted, isLiteral := arg.AsLiteral().(types.Bool)
			_, value := ifKnown(args[1-i])
			if arg.Kind() != ast.LiteralKind || !isLiteral || value == isError {
				continue
			}
			if bool(wanted) == (name == operators.NotEquals) {
				value = opposite(value)
			}
			return nil, value
		}
	}
	return e, isError
}

// knownJoined is && where false decides, || where true does.
func knownJoined(e ast.Expr, decides logical) (ast.Expr, logical) {
	var left []ast.Expr
	for _, arg := range e.AsCall().Args() {
		part, value := ifKnown(arg)
		if value == decides {
			return nil, decides
		}
		if value == isError {
			left = append(left, part)
		}
	}
	switch len(left) {
	case 0:
		return nil, opposite(decides)
	case 1:
		return left[0], isError
	}
	return rebuilt(e, left...), isError
}

// rebuilt is a call with other arguments; the call itself where they are its own.
func rebuilt(e ast.Expr, args ...ast.Expr) ast.Expr {
	call := e.AsCall()
	if slices.Equal(call.Args(), args) {
		return e
	}
	return ast.NewExprFactory().NewCall(e.ID(), call.FunctionName(), args...)
}

func opposite(value logical) logical { return isTrue + isFalse - value }

// opening says of an allow rule with !playback.known || … in it what that does;
// "" of others.
func (u *unknownCheck) opening() string {
	if u.deny || !readsField(u.when, playbackShape, playbackKnown) {
		return ""
	}
	return fmt.Sprintf(" (%s refuses such an ID in a deny rule, but allows it in this one)", "!playback.known || …")
}
