package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

const sharedRules = `
version: 1
rules:
  - {id: blocked, effect: deny, when: 'viewer.claims.?blocked.orValue(false) == true', reason: blocked}
  - {id: own, effect: allow, when: 'environment.id == "acme" && viewer.authenticated', grant: {ttl: 5m}}
`

func compileFor(t *testing.T, c *policy.Compiler, text string, o policy.Options) *policy.Policy {
	t.Helper()
	p, err := c.Compile([]byte(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func decides(p *policy.Policy) playback.Decision {
	return p.Decide(&playback.Question{Viewer: &playback.Viewer{ID: "u1", Authenticated: true}, Type: playback.Video})
}

// TestEnvironmentsShareADocumentAndNothingElse: the environment variable, counts
// and pseudonyms are each environment's own.
func TestEnvironmentsShareADocumentAndNothingElse(t *testing.T) {
	t.Parallel()
	var c policy.Compiler
	registry := prometheus.NewRegistry()
	metrics := policy.NewMetrics(registry)
	documents := map[playback.EnvironmentID]*policy.Policy{}
	for _, env := range []playback.EnvironmentID{"acme", "globex"} {
		documents[env] = compileFor(t, &c, sharedRules, policy.Options{Environment: env, Metrics: metrics})
		metrics.InForce(env, policy.RolePolicy, documents[env])
	}
	if d := decides(documents["acme"]); d.Rule != "own" || d.Refusal != nil {
		t.Errorf("acme: %+v", d)
	}
	d := decides(documents["globex"])
	if d.Rule != "" || !errors.Is(d.Refusal, playback.CodeNoMatchingRule) {
		t.Errorf("globex: %+v", d)
	}
	d.Counter.Add(1)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(families); strings.Count(text, `value:"no_matching_rule"`) != 1 {
		t.Errorf("what globex decided is counted in %s", text)
	}
	const withPseudonym = "version: 1\nrules: [{id: r, effect: allow, when: 'true', grant: {custom: {v: 'pseudonym(viewer.id)'}}}]"
	key := playback.NewSecret("0123456789abcdef")
	first := decides(compileFor(t, &c, withPseudonym, policy.Options{Environment: "acme", PseudonymKey: key}))
	other := decides(compileFor(t, &c, withPseudonym, policy.Options{Environment: "globex", PseudonymKey: key}))
	again := decides(compileFor(t, &c, withPseudonym, policy.Options{Environment: "acme", PseudonymKey: key}))
	if first.Custom == "" || first.Custom == other.Custom || first.Custom != again.Custom {
		t.Errorf("pseudonyms: %s of acme, %s of globex, %s of acme again", first.Custom, other.Custom, again.Custom)
	}
}

// TestADocumentIsCompiledOnceForManyEnvironments counts by what costs most: reading
// what a document names happens with each compilation, and again to see whether it
// stands.
func TestADocumentIsCompiledOnceForManyEnvironments(t *testing.T) {
	t.Parallel()
	var c policy.Compiler
	for n := range 2000 {
		compileFor(t, &c, sharedRules, policy.Options{Environment: playback.EnvironmentID(fmt.Sprintf("env-%d", n))})
	}
	if n := c.Compilations(); n != 1 {
		t.Errorf("2,000 environments with one document took %d compilations", n)
	}
	compileFor(t, &c, strings.Replace(sharedRules, "5m", "6m", 1), policy.Options{Environment: "env-1"})
	if n := c.Compilations(); n != 2 {
		t.Errorf("another document: %d compilations in all, want 2", n)
	}
	c.Forget()
	compileFor(t, &c, sharedRules, policy.Options{Environment: "acme"})
	c.Forget()
	c.Forget()
	compileFor(t, &c, sharedRules, policy.Options{Environment: "acme"})
	if n := c.Compilations(); n != 3 {
		t.Errorf("after it was forgotten: %d compilations in all, want 3", n)
	}
}

// TestAChangedFileIsSeenAlthoughTheDocumentIsTheSame: includes and sets.
func TestAChangedFileIsSeenAlthoughTheDocumentIsTheSame(t *testing.T) {
	t.Parallel()
	const document = "version: 1\nsets: {staff: staff.txt}\nrules: [{id: r, effect: allow, when: 'inSet(\"staff\", viewer.id)'}]"
	var c policy.Compiler
	members := "u1"
	o := policy.Options{Environment: "acme", File: "/rules.yaml", ReadFile: func(string) ([]byte, error) { return []byte(members), nil }}
	if d := decides(compileFor(t, &c, document, o)); d.Refusal != nil {
		t.Errorf("u1 is in the set: %v", d.Refusal)
	}
	members = "u2"
	if d := decides(compileFor(t, &c, document, o)); d.Refusal == nil {
		t.Error("u1 is not in the set any more")
	}
	if n := c.Compilations(); n != 2 {
		t.Errorf("%d compilations", n)
	}
	o.ReadFile = func(string) ([]byte, error) { return nil, errors.New("gone") }
	if _, err := c.Compile([]byte(document), o); err == nil {
		t.Error("a set whose file is gone was taken from memory")
	}
}

// TestACompilerReportsWhatCompileDoes: a language that documents share finds the
// same mistakes.
func TestACompilerReportsWhatCompileDoes(t *testing.T) {
	t.Parallel()
	var c policy.Compiler
	for _, when := range []string{"viewer.ID == 'x'", "pseudonym('x') == 'y'", "inSet('x', 'y')", "condition.x", "now", "1 +"} {
		text := []byte(fmt.Sprintf("version: 1\nrules: [{id: r, effect: allow, when: %q}]", when))
		_, want := policy.Compile(text, policy.Options{Environment: "acme"})
		_, got := c.Compile(text, policy.Options{Environment: "acme"})
		if want == nil || got == nil || got.Error() != want.Error() {
			t.Errorf("%s: the compiler says %v, Compile %v", when, got, want)
		}
	}
}
