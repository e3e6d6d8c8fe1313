package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/playgate/playgate/playback"
)

// A deny rule that cannot be evaluated denies. So one that reads a claim as if it
// were always there refuses everybody whose token does not have it.

// absentWarnings are about members of claims, meta and parameters without which a
// deny rule cannot be evaluated.
func (p *Policy) absentWarnings(r *rule) []string {
	if !r.deny {
		return nil
	}
	checked := r.when.ast.NativeRep()
	f := &formulas{language: p.language, checked: checked}
	var found []string
	if members := membersRead(checked.Expr()); len(members) > 0 {
		root := f.parse(checked.Expr())
		a := &activation{constants: p.constants}
		a.ask(&playback.Question{Object: &playback.Object{}, Now: testNow()}, scene{environment: p.environment})
		for _, at := range members {
			if text := f.absentWarning(root, at, a); text != "" {
				found = append(found, text)
			}
		}
	}
	if len(found) > 0 {
		return found
	}
	return p.bareWarning(f)
}

// bareWarning says that a condition cannot be evaluated for a question that has
// nothing but what every question has, whatever the reason.
func (p *Policy) bareWarning(f *formulas) []string {
	known := &playback.Object{ID: "x", Known: true, Policy: playback.PolicySigned, Asset: &playback.Asset{ID: "x", Status: playback.AssetReady}}
	for _, bare := range []struct {
		whose  string
		viewer *playback.Viewer
		object *playback.Object
	}{
		{"an anonymous viewer without an address, for a playback ID that is not in the catalogue", &playback.Viewer{}, &playback.Object{ID: "x", Policy: playback.PolicySigned}},
		{"a viewer without claims and address, for an asset without meta", &playback.Viewer{Issuer: "x", ID: "x", Authenticated: true}, known},
	} {
		a := &activation{constants: p.constants}
		a.ask(&playback.Question{Viewer: bare.viewer, Object: bare.object, Client: &playback.Client{}, Now: testNow()}, scene{environment: p.environment})
		if _, err := f.outcome(f.checked.Expr(), a); err != nil {
			return []string{fmt.Sprintf("refuses %s, because it cannot be evaluated then (%.200s): a deny rule that cannot be evaluated denies", bare.whose, err)}
		}
	}
	return nil
}

// membersRead lists the members of maps that an expression reads, each by its
// first key.
func membersRead(e ast.Expr) []place {
	var members []place
	for _, at := range append(placesOf(e), keysAsked(e)...) {
		if len(at.keys) == 0 || !at.isMember() {
			continue
		}
		at.keys = at.keys[:1]
		if !slices.ContainsFunc(members, func(m place) bool { return m.String() == at.String() }) {
			members = append(members, at)
		}
	}
	return members
}

// keysAsked lists the members of maps that an expression looks for: "plan" in
// viewer.claims.
func keysAsked(e ast.Expr) (members []place) {
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.In {
		key, isText := literalText(e.AsCall().Args()[0])
		if at, ok := placeOf(e.AsCall().Args()[1]); ok && isText {
			if member, isMap := at.member(key); isMap {
				members = append(members, member)
			}
		}
	}
	for _, part := range children(e) {
		members = append(members, keysAsked(part)...)
	}
	return members
}

// isMember reports whether the place is in a map of which members may be missing.
func (p place) isMember() bool {
	return p.shape == viewerShape && p.field == viewerClaims || p.shape == assetShape && p.field == assetMeta || p.shape == requestShape && p.field == requestParams
}

// absentWarning says that a condition cannot be evaluated without a member, "" if
// it can. a is a question in which nothing is known.
func (f *formulas) absentWarning(root *formula, member place, a *activation) string {
	values := make([]logical, len(f.atoms))
	var free, broken []int
	for i := range f.atoms {
		e := f.atoms[i].expr
		read := membersRead(e)
		reads := slices.ContainsFunc(read, func(m place) bool { return m.String() == member.String() })
		outcome, err := f.outcome(e, a)
		switch {
		case !reads:
			free = append(free, i)
		case err != nil && strings.Contains(err.Error(), "no such key: "+member.keys[0]):
			values[i] = isError
			broken = append(broken, i)
		case err == nil && len(placesOf(e)) == 1 && len(variablesOf(e)) == 1:
			values[i] = outcome
		default:
			free = append(free, i)
		}
	}
	if len(broken) == 0 || !combinations(values, free, func() bool { return root.given(values) == isError }) {
		return ""
	}
	who := map[int]string{viewerShape: "viewer without the claim", assetShape: "asset without the meta", requestShape: "request without the parameter"}[member.shape]
	text := fmt.Sprintf("refuses every %s %s: a deny rule that cannot be evaluated denies", who, member.keys[0])
	if combinations(values, free, func() bool { return root.given(values) == isFalse }) {
		text = strings.Replace(text, "refuses every", "can refuse any", 1)
	}
	return text + "; write " + f.guarded(f.atoms[broken[0]].expr, member)
}

// guarded writes a comparison with a value for the member's absence.
func (f *formulas) guarded(e ast.Expr, member place) string {
	text := f.text(e)
	whole := longestPlace(e, member)
	written := wholePlace(whole)
	value := "…"
	if otherwise := f.otherwise(e, whole); otherwise != "" {
		value = otherwise
	}
	optional := optionalPlace(whole) + ".orValue(" + value + ")"
	if replaced := written.ReplaceAllLiteralString(text, optional); replaced != text && len(replaced) <= maxRewrite {
		return replaced
	}
	return optional
}

// longestPlace is the deepest member below the given one that an expression reads.
func longestPlace(e ast.Expr, member place) place {
	whole := member
	for _, at := range placesOf(e) {
		if at.shape == member.shape && at.field == member.field && len(at.keys) > len(whole.keys) && at.keys[0] == member.keys[0] {
			whole = at
		}
	}
	return whole
}

// wholePlace matches how a place is written without optionals.
func wholePlace(at place) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(regexp.QuoteMeta(shapes[at.shape].name + "." + shapes[at.shape].fields[at.field].name))
	for _, key := range at.keys {
		fmt.Fprintf(&b, `(?:\.%s\b|\[%s\])`, regexp.QuoteMeta(key), regexp.QuoteMeta(fmt.Sprintf("%q", key)))
	}
	return regexp.MustCompile(b.String())
}

// optionalPlace writes a place so that its absence is no error.
func optionalPlace(at place) string {
	var b strings.Builder
	b.WriteString(shapes[at.shape].name + "." + shapes[at.shape].fields[at.field].name)
	for _, key := range at.keys {
		if conditionName.MatchString(key) {
			b.WriteString(".?" + key)
		} else {
			fmt.Fprintf(&b, "[?%q]", key)
		}
	}
	return b.String()
}

// otherwise proposes what stands for a place's absence: the zero of what it is
// compared with.
func (f *formulas) otherwise(e ast.Expr, at place) string {
	is := func(e ast.Expr) bool {
		p, ok := placeOf(e)
		return ok && p.String() == at.String()
	}
	if is(e) {
		return "false" // it is the condition itself
	}
	if e.Kind() == ast.ComprehensionKind && is(e.AsComprehension().IterRange()) {
		return "[]"
	}
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		args := call.Args()
		switch call.FunctionName() {
		case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
			for i := range args {
				if is(args[i]) {
					return f.zeroLike(args[1-i])
				}
			}
		case operators.In, operators.OldIn:
			if is(args[1]) {
				return "[]"
			}
			if is(args[0]) && f.checked.GetType(args[1].ID()).Kind() == types.ListKind {
				return zeroOf(f.checked.GetType(args[1].ID()).Parameters()[0])
			}
		case "startsWith", "endsWith", "contains", "matches":
			if call.IsMemberFunction() && is(call.Target()) {
				return `""`
			}
		}
	}
	for _, part := range children(e) {
		if value := f.otherwise(part, at); value != "" && !is(part) {
			return value
		}
	}
	return ""
}

func (f *formulas) zeroLike(e ast.Expr) string { return zeroOf(f.checked.GetType(e.ID())) }

func zeroOf(t *types.Type) string {
	switch t.Kind() {
	case types.BoolKind:
		return "false"
	case types.StringKind:
		return `""`
	case types.IntKind, types.DoubleKind, types.UintKind:
		return "0"
	case types.ListKind:
		return "[]"
	default:
		return ""
	}
}
