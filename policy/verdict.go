package policy

import (
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/playgate/playgate/playback"
)

// Rules are asked about on every request. What most of them ask is who the
// viewer is, and the claims of one token are what they are: a condition that
// reads nothing else has one answer for one verified identity as long as one
// document is in force. So it is asked once for each such pair, and not once
// per request; see BenchmarkDecide/hot. Nothing that can change is remembered:
// another document, another token, or the same token verified anew, is another
// pair; and a condition that mentions the time, the request, what is asked for,
// or viewer.grants, is evaluated every time.

// verdict is the answer of one condition for one viewer.
type verdict uint8

const (
	// open: it must be asked now. It reads more than the viewer, or could not
	// be evaluated, which is counted every time.
	open verdict = iota
	refused
	matched
)

// edition tells one compiled document from every other by its address, without
// keeping the document alive.
type edition struct{ _ byte }

// standing is what a viewer's Memo keeps. Immutable.
type standing struct {
	viewer   *object
	edition  *edition  // of the document that the verdicts are of; nil: there are none
	verdicts []verdict // by rule.index
}

// verdictsFor returns the verdicts on the question's viewer, nil if all
// conditions are open.
func (p *Policy) verdictsFor(a *activation) []verdict {
	v := a.question.Viewer
	switch {
	case !p.steady || a.viewer != nil: // a viewer of a test's own
		return nil
	case isNobody(v):
		return p.nobody
	case v.Memo == nil:
		return nil
	}
	k := a.constants.standingOf(v)
	if k.edition != p.edition {
		a.viewer = k.viewer
		verdicts := p.judge(a)
		if a.meter.exhausted() != nil {
			return nil // what was not asked must not be kept as open
		}
		k = &standing{k.viewer, p.edition, verdicts}
		v.Memo.Keep(k)
	}
	if a.viewer = k.viewer; a.question.Entitlements != nil || len(a.grants()) > 0 {
		a.viewer = a.viewerAsked() // for the conditions that are open
	}
	return k.verdicts
}

// judge evaluates every condition that reads nothing but the viewer.
func (p *Policy) judge(a *activation) []verdict {
	verdicts := make([]verdict, len(p.deny)+len(p.allow))
	for _, r := range slices.Concat(p.deny, p.allow) {
		if !r.steady {
			continue
		}
		switch matches, err := r.when.holds(a); {
		case endsRequest(err):
			return verdicts
		case err != nil:
		case matches:
			verdicts[r.index] = matched
		default:
			verdicts[r.index] = refused
		}
	}
	return verdicts
}

// judgeNobody prepares the verdicts on viewers of whom nothing is known.
func (p *Policy) judgeNobody() {
	for _, r := range slices.Concat(p.deny, p.allow) {
		p.steady = p.steady || r.steady
	}
	a := &activation{constants: p.constants}
	a.ask(&playback.Question{Viewer: &playback.Viewer{}}, scene{environment: p.environment})
	p.nobody = p.judge(a)
}

// holds evaluates the rule's condition unless there is a verdict on it.
func (r *rule) holds(a *activation, verdicts []verdict) (bool, error) {
	if verdicts != nil && verdicts[r.index] != open {
		return verdicts[r.index] == matched, nil
	}
	return r.when.holds(a)
}

func isNobody(v *playback.Viewer) bool {
	return v == nil || !v.Authenticated && v.ID == "" && v.Issuer == "" && len(v.Claims) == 0
}

// readsOnlyViewer reports whether a condition reads nothing but fields of the
// viewer that never change. What it does not know is not one of them.
func readsOnlyViewer(checked *cel.Ast) bool {
	return onlyViewer(checked.NativeRep().Expr(), nil)
}

// onlyViewer is readsOnlyViewer below comprehensions with the variables local.
func onlyViewer(e ast.Expr, local []string) bool {
	all := func(parts ...ast.Expr) bool {
		return !slices.ContainsFunc(parts, func(part ast.Expr) bool { return !onlyViewer(part, local) })
	}
	switch e.Kind() {
	case ast.LiteralKind:
		return true
	case ast.IdentKind:
		return slices.Contains(local, e.AsIdent())
	case ast.SelectKind:
		sel := e.AsSelect()
		return isSteady(sel.Operand(), sel.FieldName()) || all(sel.Operand())
	case ast.CallKind:
		args := e.AsCall().Args()
		if e.AsCall().FunctionName() == operators.OptSelect && len(args) == 2 && args[1].Kind() == ast.LiteralKind {
			name, _ := args[1].AsLiteral().(types.String)
			return isSteady(args[0], string(name)) || all(args[0])
		}
		return all(children(e)...)
	case ast.ListKind, ast.MapKind:
		return all(children(e)...)
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		names := []string{c.IterVar(), c.IterVar2(), c.AccuVar()}
		if slices.ContainsFunc(names, isVariable) || !all(c.IterRange(), c.AccuInit()) {
			return false
		}
		local = slices.Concat(local, names)
		return all(c.LoopCondition(), c.LoopStep(), c.Result())
	default:
		return false
	}
}

// isSteady reports whether operand.field is a field of the viewer that never
// changes. Grants are none: they come and go while a token lives.
func isSteady(operand ast.Expr, field string) bool {
	if operand.Kind() != ast.IdentKind || operand.AsIdent() != shapes[viewerShape].name {
		return false
	}
	switch field {
	case "issuer", "id", "authenticated", "claims":
		return true
	}
	return false
}
