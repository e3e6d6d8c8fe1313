package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"

	"github.com/playgate/playgate/playback"
)

// conversions are the functions that read a text or a number of the catalogue's
// as something else, and fail if it is not written as they want it.
var conversions = []string{"timestamp", "duration", "int", "double", "uint", "bool", "ip", "cidr", "localTime"} //nolint:gochecknoglobals // a constant table

// metaWarnings are about assets of the catalogue of which a rule cannot read a
// member of meta: with timestamp(asset.meta.released) and released "2027-01-01".
func (p *Policy) metaWarnings(r *rule, known []*playback.Object) []string {
	if len(known) == 0 {
		return nil
	}
	var found []string
	for _, e := range r.expressions() {
		checked := e.ast.NativeRep()
		f := &formulas{language: p.language, checked: checked}
		for _, call := range metaConversions(checked.Expr()) {
			if text := f.unreadableMeta(call, known); text != "" {
				effect := "this rule does not match it"
				if r.deny {
					effect = "this rule refuses it"
				}
				found = append(found, text+"; "+effect)
			}
		}
	}
	return found
}

// metaConversions lists the conversions of members of meta in an expression.
func metaConversions(e ast.Expr) (calls []ast.Expr) {
	if e.Kind() == ast.CallKind && slices.Contains(conversions, e.AsCall().FunctionName()) && len(e.AsCall().Args()) > 0 {
		if at, ok := placeOf(e.AsCall().Args()[0]); ok && at.shape == assetShape && at.field == assetMeta && len(at.keys) > 0 {
			calls = append(calls, e)
		}
	}
	for _, part := range children(e) {
		calls = append(calls, metaConversions(part)...)
	}
	return calls
}

// unreadableMeta says for which assets a conversion fails although the member is
// there; "" for none.
func (f *formulas) unreadableMeta(call ast.Expr, known []*playback.Object) string {
	if slices.ContainsFunc(variablesOf(call), func(name string) bool { return !isObject(name) }) {
		return ""
	}
	program, err := f.language.plan(f.checked, call)
	if err != nil {
		return ""
	}
	at, _ := placeOf(call.AsCall().Args()[0])
	tried := map[*playback.Asset]bool{}
	first, n := "", 0
	for _, o := range known {
		value, ok := metaValue(o.Asset, at.keys)
		if !ok || tried[o.Asset] {
			continue
		}
		tried[o.Asset] = true
		a := aboutObject(o)
		if _, err := program.run(a, a.meter); err == nil {
			continue
		}
		if n++; n == 1 {
			first = fmt.Sprintf("%s cannot read %s of asset %s%s", f.text(call), shownValue(value), o.Asset.ID, writtenInstead(call, value))
		}
	}
	if n > 1 {
		first += fmt.Sprintf(" (and what %s)", playback.Count(n-1, "other asset has", "other assets have"))
	}
	return first
}

// metaValue returns a member of an asset's meta.
func metaValue(asset *playback.Asset, keys []string) (value any, ok bool) {
	if asset == nil {
		return nil, false
	}
	value = asset.Meta
	for _, key := range keys {
		members, isMap := value.(map[string]any)
		if !isMap {
			return nil, false
		}
		if value, ok = members[key]; !ok {
			return nil, false
		}
	}
	return value, true
}

func shownValue(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "it"
	}
	return fmt.Sprintf("%.80s", text)
}

// writtenInstead says how a time is written that timestamp() can read.
func writtenInstead(call ast.Expr, value any) string {
	text, isText := value.(string)
	if !isText || call.AsCall().FunctionName() != "timestamp" {
		return ""
	}
	meant, _, _ := strings.Cut(timeMeant(text), ", or localTime")
	return ": " + strings.NewReplacer("timestamp(", "", ")", "").Replace(meant)
}
