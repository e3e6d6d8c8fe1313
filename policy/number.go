package policy

import (
	"fmt"
	"math"
	"strconv"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// A number that can never come does what a text that can never come does
// (literal.go): now.getHours() == 24 holds for nobody, whoever asks.

// span is the numbers that an expression can be, both ends included.
type span struct {
	least, most float64
	note        string // what the numbers stand for, "" nothing to say
}

var (
	anyNumber = span{math.Inf(-1), math.Inf(1), ""} //nolint:gochecknoglobals // constant
	notBelow0 = span{0, math.Inf(1), ""}            //nolint:gochecknoglobals // constant
)

// clockSpans are what the functions of a timestamp return (the CEL specification,
// Timestamp). Those of a duration have no bounds: they are totals.
var clockSpans = map[string]span{ //nolint:gochecknoglobals // a constant table
	"getHours":        {0, 23, "midnight is 0"},
	"getMinutes":      {0, 59, ""},
	"getSeconds":      {0, 59, ""},
	"getMilliseconds": {0, 999, ""},
	"getDayOfWeek":    {0, 6, "Sunday is 0, Saturday 6"},
	"getDate":         {1, 31, "the first of the month is 1"},
	"getDayOfMonth":   {0, 30, "the first of the month is 0; getDate() counts from 1"},
	"getDayOfYear":    {0, 365, "January 1 is 0"},
	"getMonth":        {0, 11, "January is 0, December 11"},
	"getFullYear":     {1, 9999, ""},
}

func (n span) constant() bool { return n.least == n.most && !math.IsInf(n.least, 0) }

func (n span) apart(other span) bool { return n.most < other.least || other.most < n.least }

// String writes the numbers as a message has them.
func (n span) String() string {
	text := numberText(n.least) + " to " + numberText(n.most)
	switch {
	case math.IsInf(n.most, 1):
		text = numberText(n.least) + " or more"
	case math.IsInf(n.least, -1):
		text = numberText(n.most) + " or less"
	}
	if n.note != "" {
		text += " (" + n.note + ")"
	}
	return text
}

func numberText(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// literalNumber returns a number that stands in a rule.
func literalNumber(e ast.Expr) (float64, bool) {
	if e.Kind() != ast.LiteralKind {
		return 0, false
	}
	switch v := e.AsLiteral().(type) {
	case types.Int:
		return float64(v), true
	case types.Uint:
		return float64(v), true
	case types.Double:
		return float64(v), !math.IsNaN(float64(v))
	}
	return 0, false
}

// numbers returns what an expression can be, as far as its form tells.
func (r *textReader) numbers(e ast.Expr, s scope) span {
	if n, ok := literalNumber(e); ok {
		return span{n, n, ""}
	}
	switch e.Kind() {
	case ast.SelectKind:
		sel := e.AsSelect()
		if sel.IsTestOnly() || sel.Operand().Kind() != ast.IdentKind || s.hides(sel.Operand().AsIdent()) {
			return anyNumber
		}
		switch at, _ := memberOfExpr(sel.Operand(), sel.FieldName()); {
		case at.shape == assetShape && at.field == assetDuration:
			return span{0, math.Inf(1), "0 is unknown"}
		case at.shape == requestShape && at.field == requestASN:
			return span{0, math.MaxUint32, "0 is unknown"} // RFC 6793
		}
	case ast.CallKind:
		return r.numberCall(e, s)
	default:
	}
	return anyNumber
}

func (r *textReader) numberCall(e ast.Expr, s scope) span {
	call := e.AsCall()
	args := call.Args()
	name := call.FunctionName()
	if clock, ok := clockSpans[name]; ok && call.IsMemberFunction() {
		if r.checked.GetType(call.Target().ID()).Kind() == types.TimestampKind {
			return clock
		}
		return anyNumber
	}
	switch name {
	case "size":
		return notBelow0
	case "dyn", "int", "double", "uint":
		if kind := r.checked.GetType(args[0].ID()).Kind(); kind == types.IntKind || kind == types.DoubleKind || kind == types.UintKind {
			return r.numbers(args[0], s)
		}
	case operators.Conditional:
		a, b := r.numbers(args[1], s), r.numbers(args[2], s)
		return span{math.Min(a.least, b.least), math.Max(a.most, b.most), ""}
	case operators.Add, operators.Subtract, operators.Modulo:
		return arithmetic(name, r.numbers(args[0], s), r.numbers(args[1], s))
	}
	return anyNumber
}

// arithmetic returns what can come of two numbers.
func arithmetic(operator string, a, b span) span {
	switch operator {
	case operators.Add:
		return span{a.least + b.least, a.most + b.most, ""}
	case operators.Subtract:
		return span{a.least - b.most, a.most - b.least, ""}
	case operators.Modulo:
		if b.constant() && b.least > 0 && a.least >= 0 {
			return span{0, math.Min(a.most, b.least-1), ""}
		}
	}
	return anyNumber
}

// numberLeaves returns the expressions of which one is what e is.
func numberLeaves(e ast.Expr) []ast.Expr {
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.Conditional:
			return append(numberLeaves(call.Args()[1]), numberLeaves(call.Args()[2])...)
		case "dyn":
			return numberLeaves(call.Args()[0])
		}
	}
	return []ast.Expr{e}
}

// memberNumbers does the same for the members of a list.
func memberNumbers(e ast.Expr) (all []ast.Expr) {
	switch e.Kind() {
	case ast.ListKind:
		for _, member := range e.AsList().Elements() {
			all = append(all, numberLeaves(member)...)
		}
	case ast.CallKind:
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.Add:
			return append(memberNumbers(call.Args()[0]), memberNumbers(call.Args()[1])...)
		case operators.Conditional:
			return append(memberNumbers(call.Args()[1]), memberNumbers(call.Args()[2])...)
		case "dyn":
			return memberNumbers(call.Args()[0])
		}
	default:
	}
	return all
}

// compareNumbers looks at a call that compares numbers.
func (c *literalCheck) compareNumbers(call ast.CallExpr, s scope) {
	args := call.Args()
	switch call.FunctionName() {
	case operators.Equals, operators.NotEquals:
		c.equalNumbers(numberLeaves(args[0]), args[1], s)
		c.equalNumbers(numberLeaves(args[1]), args[0], s)
	case operators.In, operators.OldIn:
		c.equalNumbers(memberNumbers(args[1]), args[0], s)
		for _, member := range memberNumbers(args[1]) {
			c.equalNumbers(numberLeaves(args[0]), member, s)
		}
	case operators.Less, operators.LessEquals:
		c.ordered(args[0], args[1], call.FunctionName() == operators.Less, s)
	case operators.Greater, operators.GreaterEquals:
		c.ordered(args[1], args[0], call.FunctionName() == operators.Greater, s)
	}
}

// equalNumbers reports the numbers that what they are compared with can never be.
func (c *literalCheck) equalNumbers(written []ast.Expr, with ast.Expr, s scope) {
	other := c.numbers(with, s)
	for _, e := range written {
		number := c.numbers(e, s)
		if !number.constant() || other.constant() || !number.apart(other) || c.seen[e.ID()] {
			continue
		}
		c.seen[e.ID()] = true
		c.findings = append(c.findings, c.at(e, fmt.Sprintf("%s is never %s: it is %s", c.source(with), numberText(number.least), other)))
	}
}

// ordered reports that lower < upper can never be, or, if not strict, lower ≤
// upper. One that always is stands beside another in many a rule: hours of 22
// and more and below 24.
func (c *literalCheck) ordered(lower, upper ast.Expr, strict bool, s scope) {
	a, b := c.numbers(lower, s), c.numbers(upper, s)
	if a.constant() == b.constant() || a.least < b.most || a.least == b.most && !strict {
		return
	}
	switch {
	case a.constant():
		c.findings = append(c.findings, c.at(lower, fmt.Sprintf("%s is never %s than %s: it is %s", c.source(upper), orEqual("more", strict), numberText(a.least), b)))
	default:
		c.findings = append(c.findings, c.at(upper, fmt.Sprintf("%s is never %s than %s: it is %s", c.source(lower), orEqual("less", strict), numberText(b.least), a)))
	}
}

// orEqual writes a comparison as words that stand before "than".
func orEqual(word string, strict bool) string {
	if strict {
		return word
	}
	return "equal to or " + word
}
