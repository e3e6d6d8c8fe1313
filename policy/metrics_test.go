package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// published lists what is published of some metrics: name, labels, value.
func published(t *testing.T, registry *prometheus.Registry, prefix string) []string {
	t.Helper()
	return slices.DeleteFunc(samples(t, registry), func(line string) bool { return !strings.HasPrefix(line, prefix) })
}

// TestRulesThatFailAreCounted, each under its environment and rule, and every
// time; what is only explained is not.
func TestRulesThatFailAreCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	metrics := policy.NewMetrics(registry)
	p := mustCompile(t, `
version: 1
rules:
  - {id: deny-broken, effect: deny, when: viewer.id == "d" && viewer.claims.x}
  - {id: allow-broken, effect: allow, when: viewer.claims.x == 1}
  - {id: custom-broken, effect: allow, when: viewer.id == "c", grant: {custom: {x: viewer.claims.x}}}
  - {id: fine, effect: allow, when: true}
`, policy.Options{Environment: "acme-prod", Metrics: metrics})
	metrics.InForce("acme-prod", policy.RolePolicy, p)
	for _, id := range []string{"d", "c", "x"} {
		viewer := &playback.Viewer{ID: id, Memo: new(playback.Memo)}
		for range 2 {
			p.Decide(&playback.Question{Viewer: viewer})
		}
		p.Consider(&playback.Question{Viewer: viewer})
	}
	const counter = "playgate_policy_rule_errors_total acme-prod "
	want := []string{counter + "allow-broken 4", counter + "custom-broken 2", counter + "deny-broken 2"}
	if diff := cmp.Diff(want, published(t, registry, "playgate_policy_rule_errors_total")); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// TestDecisionsAreCounted by rule, effect and reason, once somebody answers with
// them.
func TestDecisionsAreCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	metrics := policy.NewMetrics(registry)
	p := mustCompile(t, `
version: 1
rules:
  - {id: banned, effect: deny, when: viewer.id == "banned", reason: no_entry}
  - {id: broken, effect: deny, when: viewer.id == "odd" && viewer.claims.x}
  - {id: open, effect: allow, when: viewer.id != "nobody"}
`, policy.Options{Environment: "acme", Metrics: metrics})
	metrics.InForce("acme", policy.RolePolicy, p)
	if got := published(t, registry, "playgate_policy_decisions_total"); len(got) > 0 {
		t.Errorf("before the first decision: %q", got)
	}
	ask := func(id string, kind playback.TokenType) {
		q := &playback.Question{Viewer: &playback.Viewer{ID: id}, Type: kind, Now: time.Unix(1_800_000_000, 0)}
		d := p.Decide(q)
		d.Count()
		p.Decide(q)
		p.Consider(q)
	}
	ask("u1", playback.Video)
	ask("u2", playback.Video)
	ask("u1", playback.GIF)
	ask("banned", playback.Video)
	ask("odd", playback.Video)
	ask("nobody", playback.Video)
	const counter = "playgate_policy_decisions_total"
	want := []string{ // labels in the order of their names: effect, environment, reason, rule
		counter + " allow acme  open 2",
		counter + " deny acme no_entry banned 1",
		counter + " deny acme no_matching_rule  1",
		counter + " deny acme policy_error broken 1",
		counter + " deny acme type_not_granted open 1",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, published(t, registry, counter)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// TestCountsGoOnWhenADocumentIsReplaced, and those of rules and environments
// that are gone are not published. A document that was compiled and is not in
// force has none.
func TestCountsGoOnWhenADocumentIsReplaced(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	metrics := policy.NewMetrics(registry)
	compile := func(rules string) *policy.Policy {
		return mustCompile(t, "version: 1\nrules:\n"+rules, policy.Options{Environment: "acme", Metrics: metrics})
	}
	decide := func(p *policy.Policy) {
		d := p.Decide(&playback.Question{Viewer: &playback.Viewer{}})
		d.Count()
	}
	const counter = "playgate_policy_decisions_total"
	check := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, published(t, registry, counter)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	first := compile("  - {id: a, effect: allow, when: true}\n")
	decide(first)
	check("not in force")
	metrics.InForce("acme", policy.RolePolicy, first)
	check("in force", counter+" allow acme  a 1")
	second := compile("  - {id: b, effect: deny, when: 'viewer.id == \"x\"', reason: r}\n  - {id: a, effect: allow, when: true}\n")
	metrics.InForce("acme", policy.RolePolicy, second)
	decide(second)
	decide(first) // of a request that began before
	check("another document, the same rule", counter+" allow acme  a 3")
	third := compile("  - {id: a, effect: deny, when: true, reason: r}\n")
	metrics.InForce("acme", policy.RolePolicy, third)
	decide(third)
	check("the rule has another effect", counter+" deny acme r a 1")
	metrics.InForce("acme", policy.RolePolicy, nil)
	decide(third)
	if got := samples(t, registry); len(got) > 0 {
		t.Errorf("the environment is gone: %q", got)
	}
}
