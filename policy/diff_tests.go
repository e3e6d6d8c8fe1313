package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/playgate/playgate/playback"
)

// Document is a document and what it is compiled with.
type Document struct {
	Text    []byte
	Options Options
}

// errNoTests says that there is nothing to ask the documents.
var errNoTests = errors.New("neither document has tests to replay: name files of the decision log with --decisions")

// DiffTests asks two documents what the tests of both give, and reports what
// differs. A question that both have is asked once. The error is Problems where a
// document does not compile.
func DiffTests(ctx context.Context, before, after Document, o DiffOptions) (*DiffReport, error) {
	old, oldTests, err := compile(before.Text, before.Options.withStandIn())
	if err != nil {
		return nil, err
	}
	next, nextTests, err := compile(after.Text, after.Options.withStandIn())
	if err != nil {
		return nil, err
	}
	d := newDiffer(ctx, old, next, o)
	r := &testReplay{differ: d, part: newDiffPart(), asked: map[string]bool{}, failing: map[string]bool{}}
	r.part.OfTests = true
	if err := errors.Join(r.replay(oldTests, "the old document"), r.replay(nextTests, "the new document")); err != nil {
		return nil, err
	}
	if r.part.Records == 0 {
		return nil, errNoTests
	}
	report := d.report(r.part)
	report.Notes = append(report.Notes, r.notes()...)
	return report, nil
}

// testReplay asks two documents what tests give.
type testReplay struct {
	*differ

	part    *diffPart
	asked   map[string]bool // questions, as JSON
	failing map[string]bool // names and questions of broken
	broken  []string        // tests that pass with the old document and fail with the new one
}

func (r *testReplay) replay(tests []testCase, document string) error {
	for i := range tests {
		t := &tests[i]
		was, err := r.ask(r.before, &t.question, t.scene())
		if err != nil {
			return err
		}
		is, err := r.ask(r.after, &t.question, t.scene())
		if err != nil {
			return err
		}
		w := world{policy: r.before, question: t.question, scene: t.scene(), rights: t.rights}
		given, err := canonicalJSON(w.given())
		if err != nil {
			return fmt.Errorf("test %s: %w", t.name, err)
		}
		if t.passes(was, r.before) && !t.passes(is, r.after) && !r.failing[t.name+given] { // both documents may have it
			r.failing[t.name+given] = true
			r.broken = append(r.broken, t.name)
		}
		if r.asked[given] {
			continue
		}
		r.asked[given] = true
		r.part.Records++
		r.part.Decisions++
		where := fmt.Sprintf("test %q, %s of %s", t.name, t.place, document)
		in := playback.InputsOf(&t.question)
		r.compare(r.part, &difference{r.part.Records, where, 1, json.RawMessage(given), in, was, is})
	}
	return nil
}

// passes reports whether a decision is as the test expects.
func (t *testCase) passes(d playback.Decision, p *Policy) bool {
	for _, c := range t.checks {
		if c(outcome{d, p.defaultTTL}) != "" {
			return false
		}
	}
	return true
}

// notes names the tests that fail with the new document only.
func (r *testReplay) notes() []string {
	n := len(r.broken)
	if n == 0 {
		return nil
	}
	if n > diffExamples {
		r.broken = append(r.broken[:diffExamples], fmt.Sprintf("and %d more", n-diffExamples))
	}
	return []string{fmt.Sprintf("%s with the old document and %s with the new one: %s",
		playback.Count(n, "test passes", "tests pass"), map[bool]string{true: "fails", false: "fail"}[n == 1], strings.Join(r.broken, "; "))}
}
