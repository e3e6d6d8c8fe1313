package policy

import (
	"fmt"
	"strings"
	"testing"

	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

// TestCallsAreChargedBeforeTheyRun: a call that costs too much is not made.
func TestCallsAreChargedBeforeTheyRun(t *testing.T) {
	t.Parallel()
	list := make([]any, 5000)
	for i := range list {
		list[i] = fmt.Sprint("a", i)
	}
	q := &playback.Question{Viewer: &playback.Viewer{ID: "u1", Claims: map[string]any{"list": list, "text": strings.Repeat("a", 250_000)}}}
	for function, call := range map[string]string{
		"sets.intersects": `sets.intersects(viewer.claims.list, viewer.claims.list)`,
		"sets.contains":   `sets.contains(viewer.claims.list, viewer.claims.list)`,
		"sets.equivalent": `sets.equivalent(viewer.claims.list, viewer.claims.list)`,
		"replace":         `viewer.claims.text.replace("a", "aaaaaaaaaa") == ""`,
		"join":            `viewer.claims.list.join("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") == ""`,
		"split":           `viewer.claims.text.split("a") == []`,
		"reverse":         `viewer.claims.text.reverse() == ""`,
		"lowerAscii":      `viewer.claims.text.lowerAscii() == ""`,
		"indexOf":         `viewer.claims.text.indexOf("b") == 1`,
		"format":          `viewer.claims.text.format([]) == ""`,
		"strings.quote":   `strings.quote(viewer.claims.text) == ""`,
		"bytes":           `bytes(viewer.claims.text) == b""`,
		"size":            `size(string(viewer.claims.text)) == 1`,
		"double":          `double(viewer.claims.text) == 1.0`,
		"_+_":             `viewer.claims.text + viewer.claims.text == ""`,
		"@in":             `viewer.claims.list.exists(x, viewer.id in viewer.claims.list)`,
		"contains":        `viewer.claims.text.contains("b")`,
		"pseudonym":       `pseudonym(viewer.claims.text) == ""`,
		"device":          `device(viewer.claims.text) == "tv"`,
		"host":            `host(viewer.claims.text) == ""`,
	} {
		l, err := newLanguage(newPseudonyms(playback.NewSecret("key"), "acme-prod"), newConditions(nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		made := 0
		l.count(function, &made)
		e, findings := l.condition(call)
		if len(findings) > 0 {
			t.Errorf("%s: %v", call, findings)
			continue
		}
		a := &activation{constants: newConstants()}
		a.ask(q, scene{environment: newEnvironment("", "")})
		_, err = e.holds(a)
		if by, stopped := stoppedBy(err); !stopped || by != limitExpression {
			t.Errorf("%s: %v, want it to be stopped", call, err)
		}
		if most := map[string]int{"@in": 3, "size": 0}[function]; made > most {
			t.Errorf("%s: %s was called %d times, want at most %d", call, function, made, most)
		}
	}
}

// count counts the calls of a function.
func (l *language) count(function string, made *int) {
	names := []string{function}
	for _, o := range l.env.Functions()[function].OverloadDecls() {
		names = append(names, o.ID())
	}
	for _, name := range names {
		if l.bindings[name] == nil {
			continue
		}
		counted := *l.bindings[name]
		if f := counted.Unary; f != nil {
			counted.Unary = func(v ref.Val) ref.Val { *made++; return f(v) }
		}
		if f := counted.Binary; f != nil {
			counted.Binary = func(a, b ref.Val) ref.Val { *made++; return f(a, b) }
		}
		if f := counted.Function; f != nil {
			counted.Function = func(args ...ref.Val) ref.Val { *made++; return f(args...) }
		}
		l.bindings[name] = &counted
	}
}

// TestSumsOfListsAreLists: a member of a sum of sums is found in one step, and what
// is summed stays as it was.
func TestSumsOfListsAreLists(t *testing.T) {
	t.Parallel()
	a, b := listOf([]ref.Val{types.String("a")}), listOf([]ref.Val{types.String("b")})
	add := copyingAdd(&functions.Overload{Binary: func(ref.Val, ref.Val) ref.Val { return types.NewErr("not copied") }})
	sum := add.Binary(add.Binary(a, b), a)
	if !equal(sum, listOf([]ref.Val{types.String("a"), types.String("b"), types.String("a")})) {
		t.Errorf("sum = %v", sum)
	}
	if weigh(a, maxWork) != 2 || weigh(sum, maxWork) != 4 {
		t.Errorf("the lists weigh %d and %d, want 2 and 4", weigh(a, maxWork), weigh(sum, maxWork))
	}
}
