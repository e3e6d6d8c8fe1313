package policy_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// largeClaims are about what fits a request's body: two lists without a common
// member, texts, and values within values.
func largeClaims() map[string]any {
	list, other, deep := make([]any, 6000), make([]any, 6000), make([]any, 6000)
	for i := range list {
		list[i], other[i], deep[i] = fmt.Sprintf("a%04d", i), fmt.Sprintf("b%04d", i), map[string]any{"k": []any{float64(i)}}
	}
	return map[string]any{
		"list": list, "other": other, "deep": deep, "text": strings.Repeat("a", 60_000), "half": strings.Repeat("a", 30_000),
		"pattern": strings.Repeat("(a{1000})", 100), "zone": "Europe/" + strings.Repeat("x", 60_000),
	}
}

// worstConditions are conditions that did seconds of work, or endless work, when
// their calls were charged after they had run or not at all.
func worstConditions() map[string]string {
	// optMap is no loop for the limit on loops within loops.
	doubled := func(first, double string) string {
		return "optional.of(" + first + ")" + strings.Repeat(".optMap(x, "+double+")", 18)
	}
	sums := strings.TrimSuffix(strings.Repeat("viewer.claims.list + ", 40), " + ")
	nested := `"a"`
	for range 24 {
		nested = `string("a".matches(` + nested + `))`
	}
	return map[string]string{
		"sets.intersects":      `sets.intersects(viewer.claims.list, viewer.claims.other)`,
		"sets.contains":        `sets.contains(viewer.claims.list, viewer.claims.other)`,
		"sets.equivalent":      `sets.equivalent(viewer.claims.deep, viewer.claims.other)`,
		"replace, empty":       `viewer.claims.text.replace("", viewer.claims.text) == ""`,
		"replace":              `viewer.claims.text.replace("a", viewer.claims.text) == ""`,
		"join":                 `viewer.claims.list.join(viewer.claims.text) == ""`,
		"split":                `viewer.claims.text.split("").size() > 0 && viewer.claims.text.split("a").size() == 0`,
		"reverse":              `viewer.claims.list.all(x, viewer.claims.text.reverse() != "")`,
		"indexOf":              `viewer.claims.text.indexOf(viewer.claims.half + "b") == 0`,
		"format":               `"%s%s%s".format([viewer.claims.deep, viewer.claims.deep, viewer.claims.deep]) == ""`,
		"matches":              `viewer.claims.text.matches("(a?){30}a{30}b")`,
		"matches, a claim":     `viewer.claims.list.all(x, !x.matches(viewer.claims.pattern))`,
		"size of a text":       `viewer.claims.list.all(x, size(viewer.claims.text) > 0)`,
		"conversion":           `viewer.claims.list.all(x, bytes(viewer.claims.text) != b"")`,
		"equality in a loop":   `viewer.claims.list.all(x, viewer.claims.deep == viewer.claims.deep)`,
		"membership in a loop": `viewer.claims.list.all(x, !(x in viewer.claims.other))`,
		"membership of values": `viewer.claims.list.all(x, viewer.claims.deep in [viewer.claims.deep])`,
		"look-up of a text":    `viewer.claims.list.all(x, !(viewer.claims.text in ["a", "b"]))`,
		"loops":                `viewer.claims.list.all(x, viewer.claims.other.all(y, x != y))`,
		"sum of lists":         `(` + sums + `).all(x, x != "")`,
		"doubling":             `` + doubled("[viewer.id]", "[x, x]") + `.optMap(x, x == x).value()`,
		"doubling a text":      `` + doubled("viewer.claims.text", "x + x") + `.value() != ""`,
		"doubling a list":      `` + doubled("[viewer.id]", "x + x") + `.value().size() > 0`,
		"time zone":            `viewer.claims.list.all(x, now.getHours("Europe/Berlin") < 24)`,
		"unknown time zone":    `viewer.claims.list.exists(x, now.getHours(viewer.claims.zone) > 22)`,
		"messages of keys":     `viewer.claims.list.exists(x, viewer.claims[viewer.claims.text] == x)`,
		"joining no texts":     `viewer.claims.list.exists(x, viewer.claims.deep.join() == x)`,
		"pattern in pattern":   nested + ` == viewer.id`,
	}
}

// atLeastStopped are those that may only fail: their arguments are refused.
func atLeastStopped() map[string]bool {
	return map[string]bool{"pattern in pattern": true}
}

// TestNoConditionRunsAway: what is done is counted before it is done, so that a
// condition costs at most what one evaluation may, whatever it asks.
func TestNoConditionRunsAway(t *testing.T) {
	t.Parallel()
	for name, condition := range worstConditions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			budget := playback.NewRuleBudget(t.Context(), playback.RequestRuleWork, nil)
			p, err := policy.Compile([]byte("version: 1\nrules:\n  - {id: all, effect: allow, when: 'true'}\n  - {id: block, effect: deny, reason: blocked, when: '"+condition+"'}\n"), policy.Options{})
			if err != nil {
				t.Fatalf("Compile: %v", err)
			}
			q := claims(largeClaims())
			q.Now, q.Budget = testTime(), &budget
			d := p.Decide(q)
			if code(d) != playback.CodePolicyError && !atLeastStopped()[name] {
				t.Errorf("%q, want policy_error", code(d))
			}
			if spent := budget.Spent(); spent > policy.MaxWork {
				t.Errorf("%d units of work, want at most %d", spent, policy.MaxWork)
			}
		})
	}
}

// TestNoMessageHoldsAllClaims: cel-go would write what is no optional into the
// message, in every turn of a loop.
func TestNoMessageHoldsAllClaims(t *testing.T) {
	t.Parallel()
	for _, condition := range []string{`[?dyn(viewer.claims)] == []`, `{?"a": viewer.claims.a} == {}`} {
		if _, err := policy.Compile([]byte(when(condition)), policy.Options{}); err == nil || !strings.Contains(err.Error(), "take an optional") {
			t.Errorf("%s: %v, want it to be refused", condition, err)
		}
	}
	mustCompile(t, when(`[?viewer.claims.?a] == [] || {?"a": viewer.claims.?a} == {}`), policy.Options{})
}

// TestARequestHasOneBudget: a hundred rules, each as expensive as a rule may be,
// do not cost a hundred times as much as one: the request ends, by name, in
// the metrics as well.
func TestARequestHasOneBudget(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("version: 1\nrules:\n")
	for i := range 400 {
		fmt.Fprintf(&text, "  - {id: r%d, effect: allow, when: 'viewer.claims.list.exists(x, x == \"none-%d\") || viewer.id == \"none\"'}\n", i, i)
	}
	text.WriteString("  - {id: last, effect: allow, when: 'true'}\n")
	registry := prometheus.NewRegistry()
	m := policy.NewMetrics(registry)
	p := mustCompile(t, text.String(), policy.Options{Environment: "acme-prod", Metrics: m})
	m.InForce("acme-prod", policy.RolePolicy, p)
	q := claims(largeClaims())
	budget := playback.NewRuleBudget(t.Context(), playback.RequestRuleWork, nil)
	q.Budget = &budget
	for range 3 {
		if d := p.Decide(q); code(d) != playback.CodePolicyError || d.Rule == "last" {
			t.Errorf("rule %q, %v, want policy_error", d.Rule, d.Refusal)
		}
	}
	if spent := budget.Spent(); spent < playback.RequestRuleWork || spent > playback.RequestRuleWork+policy.MaxWork {
		t.Errorf("%d units of work for three questions, want about %d", spent, playback.RequestRuleWork)
	}
	got, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	limits := map[string]float64{}
	for _, family := range got {
		if family.GetName() != "playgate_policy_stopped_total" {
			continue
		}
		for _, series := range family.GetMetric() {
			for _, label := range series.GetLabel() {
				if label.GetName() == "limit" {
					limits[label.GetValue()] += series.GetCounter().GetValue()
				}
			}
		}
	}
	if limits["request"] != 3 || limits["expression"] == 0 || limits["deadline"] != 0 {
		t.Errorf("stopped by %v, want 3 by the request's budget and the others by the expression's", limits)
	}
}

// TestEvaluationEndsWithTheRequest: the rules are not asked on when nobody waits.
func TestEvaluationEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	budget := playback.NewRuleBudget(ctx, playback.RequestRuleWork, nil)
	p := mustCompile(t, "version: 1\nrules:\n  - {id: slow, effect: allow, when: 'viewer.claims.list.exists(x, x == \"none\")'}\n  - {id: last, effect: allow, when: 'true'}\n", policy.Options{})
	q := claims(largeClaims())
	q.Budget = &budget
	d := p.Decide(q)
	if code(d) != playback.CodePolicyError || d.Rule != "slow" || !strings.Contains(d.Refusal.Error(), "time is over") {
		t.Errorf("rule %q, %v, want policy_error because the time is over", d.Rule, d.Refusal)
	}
}

// TestTheShadowHasABudgetOfItsOwn: what it spends is not missing for the rules in
// force.
func TestTheShadowHasABudgetOfItsOwn(t *testing.T) {
	t.Parallel()
	shadow := mustCompile(t, when(`viewer.claims.list.exists(x, x == "none")`), policy.Options{})
	s := policy.NewShadowed(policy.ShadowConfig{Policy: mustCompile(t, when("true"), policy.Options{}), Shadow: shadow})
	budget := playback.NewRuleBudget(t.Context(), 1000, nil)
	q := claims(largeClaims())
	q.Budget = &budget
	for range 20 {
		if d := s.Decide(q); d.Grant == nil {
			t.Fatalf("%v, want what the rules in force say", d.Refusal)
		}
	}
	if budget.Spent() > 100 {
		t.Errorf("%d units were spent for the rules in force", budget.Spent())
	}
}

// TestOrdinaryConditionsAreNotStopped: what rules ask of claims of usual size is
// far below the limits.
func TestOrdinaryConditionsAreNotStopped(t *testing.T) {
	t.Parallel()
	roles := make([]any, 100)
	for i := range roles {
		roles[i] = fmt.Sprintf("a5b2c0de-0000-4000-8000-%012d", i)
	}
	agent := "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
	for condition, limit := range map[string]uint64{
		`viewer.claims.roles.exists(r, r == "x") || true`:                                        1000,
		`sets.intersects(viewer.claims.roles, ["x", "y"]) || true`:                               1000,
		`!(viewer.claims.roles + ["z"] == []) && "z" in (viewer.claims.roles + ["z"])`:           1000,
		`viewer.claims.roles.map(r, r.upperAscii()).join(",").size() > 100`:                      5000,
		`request.user_agent.matches("(?i)(iphone|ipad|android).*version/([0-9]+)")`:              2000,
		`device(request.user_agent) == "phone"`:                                                  100,
		`now.getHours("Europe/Berlin") >= 0 && inWindow(now, "Europe/Berlin", "00:00", "24:00")`: 1500,
		`"%s-%d".format([viewer.id, 4]) == "u1-4" && viewer.id.replace("u", "v") == "v1"`:        100,
	} {
		p := mustCompile(t, when(condition), policy.Options{})
		budget := playback.NewRuleBudget(t.Context(), playback.RequestRuleWork, nil)
		q := claims(map[string]any{"roles": roles})
		q.Client, q.Now, q.Budget = &playback.Client{UserAgent: agent}, testTime(), &budget
		if d := p.Decide(q); d.Grant == nil {
			t.Errorf("%s: %v", condition, d.Refusal)
		}
		if budget.Spent() > limit {
			t.Errorf("%s: %d units of work, want at most %d", condition, budget.Spent(), limit)
		}
	}
}
