package policy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// manyRules read large claims, each in a text of its own length.
func manyRules(count int) string {
	var b strings.Builder
	b.WriteString("version: 1\nrules:\n")
	for i := range count {
		fmt.Fprintf(&b, "  - {id: r%d, effect: allow, when: 'viewer.claims.list.exists(x, x == \"none-%d%s\") && viewer.claims.text != \"a\"'}\n", i, i, strings.Repeat("x", 200))
	}
	return b.String()
}

// TestExplanationsHaveRoomForSoMuch. Attack: a viewer whose claims are as large as
// a body may be, and each of a thousand rules reads them.
func TestExplanationsHaveRoomForSoMuch(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, manyRules(1000), policy.Options{})
	budget := playback.NewRuleBudget(t.Context(), 5_000_000, nil)
	q := claims(largeClaims())
	q.Budget = &budget
	x := p.Explain(q, nil)
	text, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 1<<20/int(playback.TokenTypes) || !x.Shortened || !x.Partial || len(x.Rules) == 0 || len(x.Rules) == 1000 {
		t.Errorf("%d bytes, %d rules, shortened %v, partial %v", len(text), len(x.Rules), x.Shortened, x.Partial)
	}
	values := x.Rules[0].Values
	if len(values) != 2 || !values[0].Omitted || !values[0].Known || values[0].Value != nil {
		t.Errorf("values = %v, want a list that is known and left out", values)
	}
	if spent := budget.Spent(); spent > 6_000_000 {
		t.Errorf("%d units of work, want about 5,000,000", spent)
	}
}

// TestExplanationsEndWithTheirTime: what was found until then is shown.
func TestExplanationsEndWithTheirTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	given, err := json.Marshal(map[string]any{"viewer": map[string]any{"id": "u1", "claims": map[string]any{"list": make([]int, 4000)}}})
	if err != nil {
		t.Fatal(err)
	}
	x, err := policy.ExplainGiven(ctx, []byte(manyRules(20)), given, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !x.Partial || len(x.Rules) != 20 || !strings.Contains(x.Rules[19].Error, "time is over") {
		t.Errorf("partial %v, %d rules, the last: %+v", x.Partial, len(x.Rules), x.Rules[len(x.Rules)-1])
	}
}

// TestDiffEndsWithItsTime: the error says so.
func TestDiffEndsWithItsTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := mustCompile(t, `version: 1
rules: [{id: r, effect: allow, when: 'viewer.claims.list.exists(x, x == "none")'}]`, policy.Options{})
	line, err := json.Marshal(map[string]any{"decision": "deny", "inputs": map[string]any{
		"viewer": map[string]any{"id": "u1", "claims": map[string]any{"list": make([]int, 4000)}}, "request": map[string]any{"type": "video"}, "now": "2027-01-01T00:00:00Z",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Diff(ctx, p, p, strings.NewReader(string(line)+"\n"), policy.DiffOptions{}); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("Diff = %v, want the end of its time", err)
	}
}
