package policy

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/playgate/playgate/playback"
)

// standInKey is the key of pseudonym() where a document is checked without its
// environment. What is compiled with it never leaves Check and Test.
const standInKey = "not a secret: the key of policy check and policy test"

func (o Options) withStandIn() Options {
	o.Metrics = nil
	if o.PseudonymKey.Reveal() == "" {
		o.PseudonymKey = playback.NewSecret(standInKey)
	}
	return o
}

// Report is the result of a document's tests.
type Report struct {
	Tests []TestResult
	Rules []Coverage // in the order of the document
	// Unreachable are the rules that can never decide, each with the reason why:
	// no test could cover them.
	Unreachable []Unreachable
	Doubts      []string // what of the tests' questions can never come
}

// Unreachable is a rule that can never decide.
type Unreachable struct {
	Rule string
	Text string // rules[4] (dead): is never reached: … (line 9)
}

// TestResult is the result of one test.
type TestResult struct {
	Name        string
	Place       string   // line 7; shared.yaml, line 7
	Differences []string // empty: passed
}

// Coverage says what the tests had to do with a rule.
type Coverage struct {
	Rule    string
	Effect  string
	Decided int // tests that it decided
	Matched int // tests in which its condition was true, whoever decided
	Failed  int // tests in which it could not be evaluated
}

// Test runs the `tests:` of a document. Tests see the environment and the time
// that they are given and nothing else; where the options have no key for
// pseudonym(), it hashes with one that is no secret. The error is Problems.
func Test(text []byte, o Options) (*Report, error) {
	p, tests, err := compile(text, o.withStandIn())
	if err != nil {
		return nil, err
	}
	report := &Report{Doubts: testDoubts(tests, o.Issuers)}
	for _, r := range p.rules() {
		report.Rules = append(report.Rules, Coverage{Rule: r.id, Effect: r.effect()})
	}
	unreachable := p.unreachable()
	for _, r := range p.rules() {
		if reason := unreachable[r.index]; reason != "" {
			report.Unreachable = append(report.Unreachable, Unreachable{r.id, fmt.Sprintf("%s (%s): %s (line %d)", r.path, r.id, reason, r.line)})
		}
	}
	for i := range tests {
		report.Tests = append(report.Tests, p.test(&tests[i], report.Rules))
	}
	return report, nil
}

func (r *rule) effect() string {
	if r.deny {
		return "deny"
	}
	return "allow"
}

func (p *Policy) test(t *testCase, coverage []Coverage) TestResult {
	decision := p.decide(&t.question, t.scene())
	result := TestResult{Name: t.name, Place: t.place}
	for _, c := range t.checks {
		if difference := c(outcome{decision, p.defaultTTL}); difference != "" {
			result.Differences = append(result.Differences, difference)
		}
	}
	failures := p.cover(t, decision.Rule, coverage)
	if r := p.find(decision.Rule); r != nil && !r.deny && decision.Refusal != nil && decision.Refusal.Err != nil {
		failures = append(failures, decision.Refusal.Err.Error()) // its custom claims
	}
	if len(result.Differences) > 0 {
		result.Differences = append(result.Differences, failures...)
	}
	return result
}

func (p *Policy) find(id string) *rule {
	for _, r := range p.rules() {
		if r.id == id {
			return r
		}
	}
	return nil
}

// cover evaluates every rule, also those behind the one that decided, and
// returns what could not be evaluated.
func (p *Policy) cover(t *testCase, decided string, coverage []Coverage) (failures []string) {
	a := &activation{constants: p.constants}
	a.ask(&t.question, t.scene())
	for i, r := range p.rules() {
		matches, err := r.when.holds(a)
		switch {
		case err != nil:
			coverage[i].Failed++
			failures = append(failures, fmt.Sprintf("rule %s could not be evaluated: %s", r.id, err))
		case matches:
			coverage[i].Matched++
		}
		if r.id == decided {
			coverage[i].Decided++
		}
	}
	return failures
}

// Passed reports whether all tests passed and every rule can be reached.
func (r *Report) Passed() bool { return r.Failures() == 0 && len(r.Unreachable) == 0 }

// Failures returns how many tests failed.
func (r *Report) Failures() int {
	n := 0
	for _, t := range r.Tests {
		if len(t.Differences) > 0 {
			n++
		}
	}
	return n
}

// Uncovered returns the rules that decided no test.
func (r *Report) Uncovered() []string {
	var rules []string
	for _, c := range r.Rules {
		if c.Decided == 0 {
			rules = append(rules, c.Rule)
		}
	}
	return rules
}

// Print writes the report as text for people, under the document's name.
func (r *Report) Print(w io.Writer, name string) error {
	var b strings.Builder
	fmt.Fprintln(&b, name)
	for _, t := range r.Tests {
		if len(t.Differences) == 0 {
			fmt.Fprintf(&b, "  ok    %s\n", t.Name)
			continue
		}
		fmt.Fprintf(&b, "  FAIL  %s (%s)\n", t.Name, t.Place)
		for _, difference := range t.Differences {
			fmt.Fprintf(&b, "        %s\n", difference)
		}
	}
	if err := r.printCoverage(&b); err != nil {
		return err
	}
	for _, u := range r.Unreachable {
		fmt.Fprintf(&b, "  FAIL  %s\n", u.Text)
	}
	fmt.Fprintf(&b, "  %s, %d failed; %d of %s decided a test", playback.Count(len(r.Tests), "test", "tests"), r.Failures(), len(r.Rules)-len(r.Uncovered()), playback.Count(len(r.Rules), "rule", "rules"))
	if n := len(r.Unreachable); n > 0 {
		fmt.Fprintf(&b, "; %d can never be reached, which fails too", n)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) printCoverage(w io.Writer) error {
	if len(r.Rules) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  rule\teffect\tdecided\tmatched\tfailed")
	for _, c := range r.Rules {
		note := ""
		if c.Decided == 0 {
			note = "\tdecided no test"
		}
		fmt.Fprintf(table, "  %s\t%s\t%d\t%d\t%d%s\n", c.Rule, c.Effect, c.Decided, c.Matched, c.Failed, note)
	}
	return table.Flush()
}

// CompileAlone compiles a document without its environment, as the commands do
// that only ask it questions: where the options have no key for pseudonym(), it
// hashes with one that is no secret. The error is Problems.
func CompileAlone(text []byte, o Options) (*Policy, error) {
	return Compile(text, o.withStandIn())
}
