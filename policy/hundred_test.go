package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// hundredRules are a hundred rules of which only the last matches, so that all
// have to be asked: a catalogue of films with dates and countries, and plans. Two
// in ten read nothing but the viewer.
func hundredRules() string {
	templates := [...]string{
		`deny, reason: not_released, when: 'now < timestamp("2027-01-01T00:00:00Z") && asset.passthrough == "film-%d"'`,
		`deny, reason: not_here, when: 'request.country in ["KP", "IR", "SY"] && asset.passthrough == "series-%d"'`,
		`deny, reason: blocked, when: 'viewer.claims.?blocked.orValue(false) == true || viewer.id == "fraud-%d"'`,
		`deny, reason: over, when: 'asset.meta.?window.orValue("") == "w%d" && now > timestamp("2025-01-01T00:00:00Z")'`,
		`deny, reason: robots, when: 'request.user_agent.contains("bot/%d")'`,
		`allow, when: 'viewer.claims.?plan.orValue("") == "plan-%d"'`,
		`allow, when: 'viewer.authenticated && viewer.claims.?plan.orValue("") == "plan-%d" && request.country in ["DE", "AT", "CH"]'`,
		`allow, when: 'viewer.claims.?role.orValue("") == "editor" && asset.meta.?studio.orValue("") == "studio-%d"'`,
		`allow, when: 'asset.duration > 30.0 && asset.passthrough == "free-%d"'`,
		`allow, when: 'request.referrer.startsWith("https://partner-%d.example/") && playback.policy == "signed"'`,
	}
	var b strings.Builder
	b.WriteString("version: 1\nrules:\n")
	for i := range 99 {
		fmt.Fprintf(&b, "  - {id: r%d, effect: "+templates[i%len(templates)]+"}\n", i, i)
	}
	b.WriteString(`  - {id: subscriber, effect: allow, when: 'viewer.authenticated && request.type == "video"'}` + "\n")
	return b.String()
}

func typicalQuestion() *playback.Question {
	q := hotQuestion("premium")
	q.Object.Asset.Meta = map[string]any{"title": "A film", "studio": "north"}
	q.Client.Referrer = "https://www.acme.example/watch"
	return q
}

// evaluate asks cel-go alone and returns how many conditions are true.
func evaluate(tb testing.TB, programs []cel.Program, vars cel.Activation) (matches int) {
	for _, program := range programs {
		out, _, err := program.Eval(vars)
		if err != nil {
			tb.Fatal(err)
		}
		if out == types.True {
			matches++
		}
	}
	return matches
}

// TestAHundredRulesAllocateWhatCELDoes: at most 4 objects more than cel-go alone
// takes for the same conditions.
func TestAHundredRulesAllocateWhatCELDoes(t *testing.T) {
	p := mustCompile(t, hundredRules(), policy.Options{})
	q := typicalQuestion()
	programs, vars := p.Bare(q)
	if n := evaluate(t, programs, vars); len(programs) != 100 || n != 1 {
		t.Fatalf("%d of %d conditions are true, want 1 of 100", n, len(programs))
	}
	for name, decide := range map[string]func(*playback.Question) playback.Decision{"anew": p.DecideAnew, "as the product does": p.Decide} {
		if d := decide(q); d.Rule != "subscriber" {
			t.Fatalf("%s: rule %q, refusal %v", name, d.Rule, d.Refusal)
		}
		bare := testing.AllocsPerRun(200, func() { evaluate(t, programs, vars) })
		ours := testing.AllocsPerRun(200, func() { decide(q) })
		t.Logf("%s: %.0f objects, cel-go alone %.0f", name, ours, bare)
		if ours > bare+4+poolLoss {
			t.Errorf("%s: %.0f objects for a hundred rules, cel-go alone %.0f: want at most 4 more", name, ours, bare)
		}
	}
}

// BenchmarkHundredRules: cel-go alone; all conditions as rules, each evaluated
// (anew); and as the product does it, where those that read only the viewer are
// not asked again.
func BenchmarkHundredRules(b *testing.B) {
	p := mustCompile(b, hundredRules(), policy.Options{})
	q := typicalQuestion()
	programs, vars := p.Bare(q)
	b.Run("cel-go", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			evaluate(b, programs, vars)
		}
	})
	b.Run("anew", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.DecideAnew(q)
		}
	})
	b.Run("product", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Decide(q)
		}
	})
}
