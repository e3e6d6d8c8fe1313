package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// A text that can never come makes a comparison that has one outcome whoever
// asks: a block list with "Russia" in it blocks nobody. Where all that can come is
// known, such a text is an error; where it is not, but the form tells, a warning.

// literalCheck looks for such texts in one expression.
type literalCheck struct {
	textReader

	findings []finding
	doubts   []string
	seen     map[int64]bool // the texts that were found wrong
	asked    []setUse
}

// setUse is a question whether something is in a named set.
type setUse struct {
	set   string
	what  texts
	shown string
}

func (l *language) checkLiterals(checked *ast.AST) *literalCheck {
	c := &literalCheck{textReader: textReader{l, checked}, seen: map[int64]bool{}}
	c.walk(checked.Expr(), newScope())
	return c
}

// impossible are the findings about texts that can never come. What is asked of
// named sets is noted for checkSets.
func (l *language) impossible(checked *ast.AST) []finding {
	c := l.checkLiterals(checked)
	l.asked = append(l.asked, c.asked...)
	return c.findings
}

// improbable are the warnings about texts that hardly can.
func (l *language) improbable(checked *ast.AST) []string { return l.checkLiterals(checked).doubts }

func (c *literalCheck) walk(e ast.Expr, s scope) {
	switch e.Kind() {
	case ast.CallKind:
		c.comparison(e, s)
	case ast.ComprehensionKind:
		loop := e.AsComprehension()
		c.walk(loop.IterRange(), s)
		c.walk(loop.AccuInit(), s)
		in := c.inside(loop, s)
		for _, part := range []ast.Expr{loop.LoopCondition(), loop.LoopStep(), loop.Result()} {
			c.walk(part, in)
		}
		return
	default:
	}
	for _, part := range children(e) {
		c.walk(part, s)
	}
}

// comparison looks at a call that compares.
func (c *literalCheck) comparison(e ast.Expr, s scope) {
	call := e.AsCall()
	args := call.Args()
	c.compareNumbers(call, s)
	switch call.FunctionName() {
	case operators.Equals, operators.NotEquals:
		c.compare(c.leaves(args[0], s), c.texts(args[1], s))
		c.compare(c.leaves(args[1], s), c.texts(args[0], s))
		c.compareLists(args[0], args[1], s)
	case operators.In, operators.OldIn:
		c.compare(c.leaves(args[0], s), c.members(args[1], s))
		c.compare(c.memberLeaves(args[1], s), c.texts(args[0], s))
	case "sets.contains", "sets.intersects", "sets.equivalent":
		c.compare(c.memberLeaves(args[0], s), c.members(args[1], s))
		c.compare(c.memberLeaves(args[1], s), c.members(args[0], s))
	case operators.Index, operators.OptIndex:
		c.compareKeys(args[0], c.texts(args[1], s), s)
	case "startsWith", "endsWith", "contains", "matches":
		c.predicate(e, s)
	case "orValue", "hasValue", "value":
		c.absentOf(e)
	case "getHours", "getMinutes", "getSeconds", "getMilliseconds", "getDayOfWeek", "getDate", "getDayOfMonth", "getDayOfYear", "getMonth", "getFullYear":
		c.zone(e)
	case inSetFunction:
		if name, ok := literalText(args[0]); ok {
			what := c.texts(args[1], s)
			c.asked = append(c.asked, setUse{name, what, c.source(args[1])})
		}
	}
}

// zone reports a time zone that does not exist: the call fails whoever asks. One
// with a colon is an offset from UTC.
func (c *literalCheck) zone(e ast.Expr) {
	call := e.AsCall()
	if !call.IsMemberFunction() || len(call.Args()) != 1 {
		return
	}
	name, ok := literalText(call.Args()[0])
	if !ok || strings.Contains(name, ":") {
		return
	}
	if _, err := c.language.functions.zones.find(name); err != nil {
		c.findings = append(c.findings, c.at(e, fmt.Sprintf("%s(): %s", call.FunctionName(), err)))
	}
}

// at is a finding about an expression.
func (c *literalCheck) at(e ast.Expr, message string) finding {
	f := finding{message: message}
	if start := c.checked.SourceInfo().GetStartLocation(e.ID()); start.Line() > 0 {
		f.line, f.column = start.Line(), start.Column()+1
	}
	return f
}

// absentOf reports orValue() of a claim that is read as if it were always there:
// what it holds is no optional, so the call fails whoever asks.
func (c *literalCheck) absentOf(e ast.Expr) {
	call := e.AsCall()
	if !call.IsMemberFunction() {
		return
	}
	target := call.Target()
	isPlain := target.Kind() == ast.SelectKind && !target.AsSelect().IsTestOnly() ||
		target.Kind() == ast.CallKind && target.AsCall().FunctionName() == operators.Index
	at, ok := placeOf(target)
	if !ok || !isPlain || len(at.keys) == 0 || c.checked.GetType(target.ID()).Kind() != types.DynKind {
		return
	}
	args := "()"
	if len(call.Args()) == 1 {
		args = "(" + c.source(call.Args()[0]) + ")"
	}
	c.findings = append(c.findings, c.at(e, fmt.Sprintf("%s() is of what may be absent: write %s.%s%s", call.FunctionName(), optionalPlace(at), call.FunctionName(), args)))
}

// compareLists compares two lists of one length, member by member.
func (c *literalCheck) compareLists(a, b ast.Expr, s scope) {
	if a.Kind() != ast.ListKind || b.Kind() != ast.ListKind {
		return
	}
	x, y := a.AsList().Elements(), b.AsList().Elements()
	for i := range min(len(x), len(y)) {
		c.compare(c.leaves(x[i], s), c.texts(y[i], s))
		c.compare(c.leaves(y[i], s), c.texts(x[i], s))
	}
}

// compare reports the texts of one side that the other side can never be.
func (c *literalCheck) compare(written []leaf, other texts) {
	for _, l := range written {
		switch {
		case c.seen[l.at]:
		case other.closed() && !other.has(l.text):
			c.seen[l.at] = true
			c.findings = append(c.findings, c.finding(l, other))
		case other.isReserved(l.text) && !slices.Contains(other.words, l.text):
			c.seen[l.at] = true
			c.doubts = append(c.doubts, reservedDoubt(l.text))
		case other.doubt != nil && l.text != "":
			if why := other.doubt(l.text); why != "" {
				c.seen[l.at] = true
				c.doubts = append(c.doubts, c.never(other, l.text)+": "+why)
			}
		}
	}
}

// compareKeys warns of keys of a map that no lookup finds.
func (c *literalCheck) compareKeys(of ast.Expr, key texts, s scope) {
	if of.Kind() != ast.MapKind || !key.closed() {
		return
	}
	for _, l := range c.memberLeaves(of, s) {
		if !key.has(l.text) && !c.seen[l.at] {
			c.seen[l.at] = true
			c.doubts = append(c.doubts, c.finding(l, key).message)
		}
	}
}

func reservedDoubt(code string) string {
	text := fmt.Sprintf("%q is the code of no country in ISO 3166-1: it matches only where a database, a proxy or a backend sends it", code)
	if code == "XX" {
		text += "; a country that is not known is ZZ"
	}
	return text
}

// finding says that a text can never come, and what was probably meant.
func (c *literalCheck) finding(l leaf, other texts) finding {
	f := finding{message: c.never(other, l.text) + ": it is " + other.set.list() + other.didYouMean(l.text)}
	if at := c.checked.SourceInfo().GetStartLocation(l.at); at.Line() > 0 {
		f.line, f.column = at.Line(), at.Column()+1
	}
	return f
}

// maxShown bounds how much of an expression a message repeats, in bytes.
const maxShown = 80

func (c *literalCheck) never(other texts, text string) string {
	return fmt.Sprintf("%s is never %.80q", c.source(other.shown), text)
}

// source writes an expression as a rule has it, "this" if it is long.
func (r *textReader) source(e ast.Expr) string {
	if e != nil {
		if text, err := cel.ExprToString(e, r.checked.SourceInfo()); err == nil && len(text) <= maxShown {
			return text
		}
	}
	return "this"
}

// leaves returns the texts that stand in an expression to be compared. What
// stands for an absent value, in orValue(), is none: it is often a text that cannot
// come on purpose.
func (r *textReader) leaves(e ast.Expr, s scope) []leaf {
	switch e.Kind() {
	case ast.LiteralKind:
		if text, ok := literalText(e); ok {
			return []leaf{{e.ID(), text}}
		}
	case ast.IdentKind:
		return s.leaves[e.AsIdent()]
	case ast.CallKind:
		call := e.AsCall()
		switch name := call.FunctionName(); name {
		case operators.Conditional:
			return append(r.leaves(call.Args()[1], s), r.leaves(call.Args()[2], s)...)
		case "lowerAscii", "upperAscii", "trim":
			changed := slices.Clone(r.leaves(call.Target(), s))
			for i := range changed {
				changed[i].text = textFunctions[name](changed[i].text)
			}
			return changed
		case "dyn":
			return r.leaves(call.Args()[0], s)
		}
		if text, ok := r.constant(e); ok {
			return []leaf{{e.ID(), text}}
		}
	default:
	}
	return nil
}

// memberLeaves does the same for the members of a list or the keys of a map.
func (r *textReader) memberLeaves(e ast.Expr, s scope) (all []leaf) {
	switch e.Kind() {
	case ast.ListKind:
		for _, member := range e.AsList().Elements() {
			all = append(all, r.leaves(member, s)...)
		}
		return all
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			all = append(all, r.leaves(entry.AsMapEntry().Key(), s)...)
		}
		return all
	case ast.CallKind:
		switch call := e.AsCall(); call.FunctionName() {
		case operators.Add:
			return append(r.memberLeaves(call.Args()[0], s), r.memberLeaves(call.Args()[1], s)...)
		case operators.Conditional:
			return append(r.memberLeaves(call.Args()[1], s), r.memberLeaves(call.Args()[2], s)...)
		case "dyn":
			return r.memberLeaves(call.Args()[0], s)
		}
		if list, ok := r.constantList(e); ok {
			for _, text := range list {
				all = append(all, leaf{e.ID(), text})
			}
		}
	default:
	}
	return all
}
