package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/playgate/playgate/playback"
)

// unknownSigned is the value of catalog.unknown with which playback IDs that the
// catalogue does not have are signed, the default.
const unknownSigned = "signed"

// unknownWarning is about a rule that reads what the catalogue says of an asset or
// a live stream and is weaker where the catalogue says nothing: an embargo does not
// refuse an asset that was uploaded a moment ago. What the condition gives for a
// playback ID that is not known is compared with what it gives for one that is, over
// all that the rest of the condition can be.
func (p *Policy) unknownWarning(r *rule) string {
	if p.unknown != "" && p.unknown != unknownSigned || !slices.ContainsFunc(variablesOf(r.when.ast.NativeRep().Expr()), isObject) {
		return ""
	}
	u := newUnknownCheck(p.language, r)
	if len(u.touching) == 0 || !u.isWeaker() {
		return ""
	}
	if _, value := ifKnown(u.when); value != isError {
		return "" // it asks for nothing but whether the ID is known
	}
	what := "this rule allows it" + u.opening()
	if r.deny {
		what = "it is signed past this rule"
	}
	return fmt.Sprintf("reads %s, and a playback ID that the catalogue does not have yet has none: with catalog.unknown: signed (the default) %s; write %s, or set catalog.unknown: lookup",
		strings.Join(u.fields(), " and "), what, u.rewrite())
}

// unknownCheck is one rule in the two situations.
type unknownCheck struct {
	formulas

	root     *formula
	when     ast.Expr
	deny     bool
	touching []int     // atoms that read an asset or a live stream
	shared   []int     // atoms that have one outcome in both situations
	inKnown  []int     // atoms that can be anything of an ID that is known
	known    []logical // the outcomes of an ID that is known, by atom
	unknown  []logical // the outcomes of one that is not
}

func newUnknownCheck(l *language, r *rule) *unknownCheck {
	checked := r.when.ast.NativeRep()
	u := &unknownCheck{formulas: formulas{language: l, checked: checked}, when: checked.Expr(), deny: r.deny}
	u.root = u.parse(u.when)
	u.known, u.unknown = make([]logical, len(u.atoms)), make([]logical, len(u.atoms))
	object := playback.Unknown("")
	known := object
	known.Known = true
	a, b := aboutObject(&object), aboutObject(&known)
	for i := range u.atoms {
		u.classify(i, a, b)
	}
	return u
}

// aboutObject is a question of which nothing but the object is known.
func aboutObject(o *playback.Object) *activation {
	a := &activation{constants: newConstants()}
	a.ask(&playback.Question{Object: o, Now: testNow()}, scene{environment: newEnvironment("", "")})
	return a
}

// classify says what is certain of an atom for an ID that is unknown (a), and for
// one that is known (b). What reads more than the object is taken for what it is
// when nothing else is known either.
func (u *unknownCheck) classify(i int, a, b *activation) {
	e := u.atoms[i].expr
	names := variablesOf(e)
	touches := slices.ContainsFunc(names, isObject)
	ofObject := !slices.ContainsFunc(names, func(name string) bool { return !isObject(name) && name != "playback" }) && !readsField(e, playbackShape, playbackID)
	outcome, err := u.outcome(e, a)
	if err != nil && (slices.Contains(names, "viewer") || slices.Contains(names, "request")) {
		outcome = isFalse // for want of a claim or an address, which others have
	}
	switch {
	case touches:
		u.touching = append(u.touching, i)
		u.inKnown = append(u.inKnown, i)
	case !ofObject || len(names) == 0:
		u.shared = append(u.shared, i)
	case readsField(e, playbackShape, playbackPolicy):
		u.inKnown = append(u.inKnown, i)
	default:
		u.known[i], _ = u.outcome(e, b)
	}
	u.unknown[i] = outcome
}

func isObject(variable string) bool {
	return variable == shapes[assetShape].name || variable == shapes[liveStreamShape].name
}

// readsField reports whether an expression reads a field of a variable, or the
// variable as a whole.
func readsField(e ast.Expr, shapeIndex, field int) bool {
	variable := shapes[shapeIndex].name
	if e.Kind() == ast.IdentKind {
		return e.AsIdent() == variable
	}
	if e.Kind() == ast.SelectKind && e.AsSelect().Operand().Kind() == ast.IdentKind && e.AsSelect().Operand().AsIdent() == variable {
		return e.AsSelect().FieldName() == shapes[shapeIndex].fields[field].name
	}
	return slices.ContainsFunc(children(e), func(part ast.Expr) bool { return readsField(part, shapeIndex, field) })
}

// isWeaker reports whether a deny rule can let an unknown ID pass that it might
// refuse if it were known, or an allow rule can allow one that it might not.
func (u *unknownCheck) isWeaker() bool {
	if len(u.shared)+len(u.inKnown) > maxFree {
		return !slices.ContainsFunc(u.atoms, func(a atom) bool { return readsField(a.expr, playbackShape, playbackKnown) })
	}
	ifKnown, ifUnknown := func(v logical) bool { return v == isTrue }, func(v logical) bool { return v == isFalse }
	if !u.deny {
		ifKnown, ifUnknown = func(v logical) bool { return v != isTrue }, func(v logical) bool { return v == isTrue }
	}
	return combinations(u.known, u.shared, func() bool {
		for _, i := range u.shared {
			u.unknown[i] = u.known[i]
		}
		return combinations(u.known, u.inKnown, func() bool { return ifKnown(u.root.given(u.known)) }) &&
			ifUnknown(u.root.given(u.unknown))
	})
}

// fields are the fields of the asset and the live stream that the rule reads.
func (u *unknownCheck) fields() (names []string) {
	for _, at := range placesOf(u.when) {
		if at.shape != assetShape && at.shape != liveStreamShape {
			continue
		}
		if name := at.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		names = []string{"the asset or the live stream"}
	}
	return names
}

// maxRewrite bounds a condition that a message proposes, in bytes.
const maxRewrite = 240

// rewrite is the condition with what reads the object guarded.
func (u *unknownCheck) rewrite() string {
	when, _ := ifKnown(u.when)
	if !u.deny {
		if text := u.bracketed(when, operators.LogicalAnd); text != "" && len(text) <= maxRewrite {
			return "playback.known && " + text
		}
		return "playback.known && … in front of what reads it"
	}
	var others, reading []ast.Expr
	for _, part := range conjuncts(when) {
		if slices.ContainsFunc(variablesOf(part), isObject) {
			reading = append(reading, part)
		} else {
			others = append(others, part)
		}
	}
	var texts []string
	for _, part := range others {
		texts = append(texts, u.bracketed(part, operators.LogicalAnd))
	}
	guarded := "!playback.known || " + u.bracketed(reading[0], operators.LogicalOr)
	if len(reading) > 1 {
		var all []string
		for _, part := range reading {
			all = append(all, u.bracketed(part, operators.LogicalAnd))
		}
		guarded = "!playback.known || " + strings.Join(all, " && ")
	}
	if len(others) > 0 {
		guarded = "(" + guarded + ")"
	}
	if text := strings.Join(append(texts, guarded), " && "); len(text) <= maxRewrite {
		return text
	}
	return "!playback.known || … in front of what reads it"
}

// conjuncts are the conditions that && joins.
func conjuncts(e ast.Expr) []ast.Expr {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.LogicalAnd {
		return []ast.Expr{e}
	}
	var all []ast.Expr
	for _, arg := range e.AsCall().Args() {
		all = append(all, conjuncts(arg)...)
	}
	return all
}

// bracketed writes an operand of && or ||, in parentheses where it needs them.
func (f *formulas) bracketed(e ast.Expr, operator string) string {
	text := f.text(e)
	if e.Kind() == ast.CallKind {
		switch inner := e.AsCall().FunctionName(); {
		case inner == operators.Conditional, inner == operators.LogicalOr && operator == operators.LogicalAnd:
			return "(" + text + ")"
		}
	}
	return text
}
