package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/playgate/playgate/playback"
)

// To the checker, a grant of viewer.grants is a map that may have any member
// (contract §5), and so is request.params. What members they really have is
// known, so a misspelt one is found here and not by the first viewer who is
// refused for it.

// keyed is a kind of map whose members are known.
type keyed uint8

const (
	noRecord keyed = iota
	grantList
	grantRecord
	scopeRecord
	paramsRecord
)

// members lists what a record may have; nil: anything, or it is none.
func (r keyed) members() []string {
	switch r {
	case grantRecord:
		return []string{"id", "type", "scope", "attributes", "from", "until", "first_play", "play_within"}
	case scopeRecord:
		return words(playback.ScopeKinds())
	case paramsRecord:
		var names []string
		for t := range playback.TokenTypes {
			names = append(names, playback.ParamNames(t)...)
		}
		slices.Sort(names)
		return slices.Compact(names)
	case noRecord, grantList:
	}
	return nil
}

func (r keyed) String() string {
	return [...]string{grantRecord: "a grant", scopeRecord: "a grant's scope", paramsRecord: "request.params"}[r]
}

// stray is a member of a record that an expression reads.
type stray struct {
	at   int64 // the ID of the expression
	of   keyed
	name string
}

// known reports whether the record has such a member.
func (m stray) known() bool { return slices.Contains(m.of.members(), m.name) }

// typo returns what was probably meant, "" if it is anybody's guess.
func (m stray) typo() string {
	all := m.of.members()
	if id := m.name + "_id"; slices.Contains(all, id) {
		return id
	}
	return nearest(m.name, all)
}

// strayMembers lists the members that an expression reads of grants, scopes and
// parameters and that none has.
func strayMembers(checked *ast.AST) []stray {
	w := memberWalk{}
	w.walk(checked.Expr(), map[string]keyed{})
	return w.strays
}

type memberWalk struct{ strays []stray }

func (w *memberWalk) walk(e ast.Expr, loops map[string]keyed) {
	switch e.Kind() {
	case ast.SelectKind:
		w.read(e.ID(), recordOfExpr(e.AsSelect().Operand(), loops), e.AsSelect().FieldName())
	case ast.CallKind:
		w.call(e, loops)
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		w.walk(c.IterRange(), loops)
		w.walk(c.AccuInit(), loops)
		inside := maps.Clone(loops)
		if inside[c.IterVar()] = noRecord; recordOfExpr(c.IterRange(), loops) == grantList {
			inside[c.IterVar()] = grantRecord
		}
		for _, part := range []ast.Expr{c.LoopCondition(), c.LoopStep(), c.Result()} {
			w.walk(part, inside)
		}
		return
	default:
	}
	for _, part := range children(e) {
		w.walk(part, loops)
	}
}

func (w *memberWalk) call(e ast.Expr, loops map[string]keyed) {
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.OptSelect, operators.Index, operators.OptIndex:
		if name, ok := literalText(args[1]); ok {
			w.read(e.ID(), recordOfExpr(args[0], loops), name)
		}
	case operators.In, operators.OldIn:
		if name, ok := literalText(args[0]); ok {
			w.read(e.ID(), recordOfExpr(args[1], loops), name)
		}
	}
}

func (w *memberWalk) read(at int64, of keyed, name string) {
	if m := (stray{at, of, name}); of.members() != nil && !m.known() && !slices.Contains(w.strays, m) {
		w.strays = append(w.strays, m)
	}
}

// recordOfExpr says what kind of record an expression is, as far as its form
// tells. loops are the kinds of the loops' variables.
func recordOfExpr(e ast.Expr, loops map[string]keyed) keyed {
	switch e.Kind() {
	case ast.IdentKind:
		return loops[e.AsIdent()]
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return noRecord
		}
		return recordBelow(e.AsSelect().Operand(), e.AsSelect().FieldName(), loops)
	case ast.ComprehensionKind:
		if c := e.AsComprehension(); recordOfExpr(c.IterRange(), loops) == grantList && keeps(c.LoopStep(), c.IterVar()) {
			return grantList // filter()
		}
	case ast.CallKind:
		call := e.AsCall()
		args := call.Args()
		switch call.FunctionName() {
		case operators.OptSelect, operators.Index, operators.OptIndex:
			if name, ok := literalText(args[1]); ok {
				return recordBelow(args[0], name, loops)
			}
			if recordOfExpr(args[0], loops) == grantList {
				return grantRecord
			}
		case "orValue", "value":
			return recordOfExpr(call.Target(), loops)
		case "dyn":
			return recordOfExpr(args[0], loops)
		}
	default:
	}
	return noRecord
}

// recordBelow is the kind of a member of something.
func recordBelow(operand ast.Expr, name string, loops map[string]keyed) keyed {
	isVariable := func(variable string) bool {
		if operand.Kind() == ast.CallKind && operand.AsCall().FunctionName() == "dyn" {
			operand = operand.AsCall().Args()[0]
		}
		_, shadowed := loops[variable]
		return operand.Kind() == ast.IdentKind && operand.AsIdent() == variable && !shadowed
	}
	switch {
	case name == "grants" && isVariable("viewer"):
		return grantList
	case name == "params" && isVariable("request"):
		return paramsRecord
	case name == "scope" && recordOfExpr(operand, loops) == grantRecord:
		return scopeRecord
	}
	return noRecord
}

// keeps reports whether a step puts the loop's variable into a list as it is.
func keeps(step ast.Expr, variable string) bool {
	if step.Kind() == ast.ListKind {
		elements := step.AsList().Elements()
		return len(elements) == 1 && elements[0].Kind() == ast.IdentKind && elements[0].AsIdent() == variable
	}
	return slices.ContainsFunc(children(step), func(e ast.Expr) bool { return keeps(e, variable) })
}

// misspelt are the findings about members that are nearly ones that there are.
func misspelt(checked *ast.AST) []finding {
	var found []finding
	for _, m := range strayMembers(checked) {
		if m.typo() == "" {
			continue
		}
		f := finding{message: fmt.Sprintf("undefined member '%.80s' of %s; did you mean %s?", m.name, m.of, m.typo())}
		if at := checked.SourceInfo().GetStartLocation(m.at); at.Line() > 0 {
			f.line, f.column = at.Line(), at.Column()+1
		}
		found = append(found, f)
	}
	return found
}

// memberWarnings are about members that there are not and that nobody can tell
// the meaning of. Tests may give grants that have them, so they are legal.
func memberWarnings(checked *ast.AST) []string {
	var found []string
	for _, m := range strayMembers(checked) {
		text := fmt.Sprintf("reads %.80s of %s, which has only %s", m.name, m.of, strings.Join(m.of.members(), ", "))
		if m.of == grantRecord {
			text += fmt.Sprintf("; what backends add is in attributes: attributes.?%.80s", m.name)
		}
		found = append(found, text)
	}
	return found
}
