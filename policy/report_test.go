package policy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

func testTime() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) }

func glob(f *testing.F, pattern string) (texts [][]byte) {
	f.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		f.Fatalf("Glob(%q) = %v, %v, want files", pattern, files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}

const failing = `
version: 1
rules:
  - {id: embargo, effect: deny, when: viewer.claims.age < 18, reason: too_young}
  - {id: premium, effect: allow, when: viewer.claims.plan == "premium", grant: {ttl: 1h, params: {video: {max_resolution: 1080p}}, custom: {v: '"a"'}, renditions: [audio.m4a]}}
  - {id: tracked, effect: allow, when: viewer.id == "t", grant: {custom: {x: viewer.claims.x}}}
  - {id: preview, effect: allow, when: viewer.authenticated}
tests:
  - name: everything is different
    given: {viewer: {claims: {age: 18, plan: premium}}}
    expect:
      effect: deny
      rule: preview
      code: too_young
      ttl: 2h
      cover_duration: false
      types: [video, gif]
      params: {video: {max_resolution: 720p, exclude_pdt: true}}
      viewer_params: {video: [], gif: [width]}
      renditions: []
      playback_restriction_id: R1
      custom: {v: b, w: 1}
  - name: nothing is granted
    given: {viewer: {claims: {age: 17}}}
    expect: {effect: allow, ttl: 1h, viewer_params: {video: []}, custom: {v: a}}
  - name: it is said what failed
    expect: {reason: too_young}
  - given: {viewer: {id: t, claims: {age: 18}}}
    expect: {effect: allow}
  - name: passes
    given: {viewer: {claims: {age: 18, plan: premium}}}
    expect: {effect: allow, custom: {v: a}}
`

// TestReportSaysWhatDiffersAndWhatIsNotCovered, line by line.
func TestReportSaysWhatDiffersAndWhatIsNotCovered(t *testing.T) {
	t.Parallel()
	report, err := policy.Test([]byte(failing), policy.Options{})
	if err != nil {
		t.Fatalf("Test: %v", err)
	}
	if got := report.Failures(); got != 4 {
		t.Errorf("Failures = %d, want 4", got)
	}
	if diff := cmp.Diff([]string{"preview"}, report.Uncovered()); diff != "" {
		t.Errorf("Uncovered (-want +got):\n%s", diff)
	}
	var out strings.Builder
	if err := report.Print(&out, "policies/acme-prod.yaml"); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report.golden", out.String())
}

// TestReportTellsWhenItCannotBeWritten.
func TestReportTellsWhenItCannotBeWritten(t *testing.T) {
	t.Parallel()
	if err := (&policy.Report{}).Print(closedPipe{}, "x"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Print = %v, want %v", err, os.ErrClosed)
	}
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, os.ErrClosed }

// TestReportTakesItsDefaultsFromTheEnvironment: the ttl that a rule leaves out
// is the environment's.
func TestReportTakesItsDefaultsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	text := []byte("version: 1\nrules: [{id: a, effect: allow, when: 'true'}]\ntests: [{expect: {ttl: 2m}}]\n")
	for ttl, failures := range map[time.Duration]int{2 * time.Minute: 0, 0: 1} {
		report, err := policy.Test(text, policy.Options{DefaultTTL: ttl})
		if err != nil || report.Failures() != failures {
			t.Errorf("with default_ttl %s: %+v, %v, want %d failures", ttl, report, err, failures)
		}
	}
}

// TestTestsDoNotSeeTheEnvironment that they run in: the same document gives the
// same report on a laptop and in every environment that uses it.
func TestTestsDoNotSeeTheEnvironment(t *testing.T) {
	t.Parallel()
	text := []byte("version: 1\nrules: [{id: a, effect: allow, when: environment.id == \"\"}]\ntests: [{expect: {rule: a}}]\n")
	report, err := policy.Test(text, policy.Options{Environment: "acme-prod", Name: "Production"})
	if err != nil || report.Failures() != 0 {
		t.Errorf("Test = %+v, %v, want no failures", report, err)
	}
}

// TestWarningsMeasureGrantsAgainstTheLongestAsset, with the part of it that a
// clip leaves and what max_ttl leaves of the grant.
func TestWarningsMeasureGrantsAgainstTheLongestAsset(t *testing.T) {
	t.Parallel()
	hours := func(h float64) []*playback.Object {
		return []*playback.Object{{ID: "P", Asset: &playback.Asset{ID: "A1", Duration: h * 3600}}, {ID: "L", LiveStream: &playback.LiveStream{ID: "L1"}}}
	}
	const short = "rules[0] (r): its tokens live %s, shorter than asset A1 plays (%s): players must refresh them"
	for _, c := range []struct {
		name, grant string
		known       []*playback.Object
		want        string
	}{
		{"nothing is known", `{ttl: 5m, cover_duration: false}`, nil, ""},
		{"the duration is covered", `{ttl: 5m}`, hours(2), ""},
		{"it is not", `{ttl: 5m, cover_duration: false}`, hours(2), "5m|2h"},
		{"the default is too short too", `{cover_duration: false}`, hours(2), "15m|2h"},
		{"long enough", `{ttl: 2h, cover_duration: false}`, hours(2), ""},
		{"max_ttl cuts", `{ttl: 5m}`, hours(20), "19h12m|20h"},
		{"a clip is shorter", `{ttl: 5m, cover_duration: false, params: {video: {asset_start_time: 60, asset_end_time: 120}}}`, hours(2), ""},
		{"a clip is longer", `{ttl: 5m, cover_duration: false, params: {video: {asset_end_time: 600}}}`, hours(2), "5m|10m"},
		{"a clip without an end", `{ttl: 5m, cover_duration: false, params: {video: {asset_start_time: 3600}}}`, hours(2), "5m|1h"},
		{"pictures do not play", `{ttl: 5m, cover_duration: false, types: [thumbnail]}`, hours(2), ""},
	} {
		p := mustCompile(t, "version: 1\nrules: [{id: r, effect: allow, when: viewer.authenticated, grant: "+c.grant+"}]", policy.Options{})
		want := []string(nil)
		if term, plays, ok := strings.Cut(c.want, "|"); ok {
			want = []string{strings.Replace(strings.Replace(short, "%s", term, 1), "%s", plays, 1)}
		}
		if diff := cmp.Diff(want, p.Warnings(c.known)); diff != "" {
			t.Errorf("%s: Warnings (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestCheckNeedsNoKey, but says that the environment will; Compile needs one.
func TestCheckNeedsNoKey(t *testing.T) {
	t.Parallel()
	text := []byte(one(`{custom: {v: pseudonym(viewer.id)}}`))
	warnings, err := policy.Check(text, policy.Options{}, nil)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "pseudonym_key_file") {
		t.Errorf("Check = %q, %v, want one warning", warnings, err)
	}
	if warnings, err = policy.Check(text, policy.Options{PseudonymKey: playback.NewSecret("k")}, nil); err != nil || warnings != nil {
		t.Errorf("Check with a key = %q, %v, want none", warnings, err)
	}
	if _, err = policy.Compile(text, policy.Options{}); err == nil || !strings.Contains(err.Error(), "rules[0].grant.custom.v: pseudonym()") {
		t.Errorf("Compile = %v, want the missing key at rules[0].grant.custom.v", err)
	}
}

// TestNoRulesDenyEverything, and say so.
func TestNoRulesDenyEverything(t *testing.T) {
	t.Parallel()
	for _, text := range []string{policy.NoRules, "version: 1\nrules: []\n", "version: 1\nrules:\n"} {
		p := mustCompile(t, text, policy.Options{})
		if d := p.Decide(hotQuestion("premium")); !p.Empty() || code(d) != playback.CodeNoMatchingRule {
			t.Errorf("%q: empty %t, %v, want no_matching_rule", text, p.Empty(), d.Refusal)
		}
		if diff := cmp.Diff([]string{"there are no rules: everything is denied"}, p.Warnings(nil)); diff != "" {
			t.Errorf("%q: Warnings (-want +got):\n%s", text, diff)
		}
	}
}

// TestDocumentIsBounded in size and in rules.
func TestDocumentIsBounded(t *testing.T) {
	t.Parallel()
	large := "version: 1\n#" + strings.Repeat("x", 1<<20)
	many := "version: 1\nrules:\n" + strings.Repeat("  - {}\n", 1001)
	for text, want := range map[string]string{large: "larger than 1048576 bytes", many: "rules: there are more than 1000 rules (line 3, column 3)"} {
		if _, err := policy.Compile([]byte(text), policy.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Compile = %.80v, want %q", err, want)
		}
	}
}

// TestCountsAgreeWithTheirNouns in what the commands print.
func TestCountsAgreeWithTheirNouns(t *testing.T) {
	t.Parallel()
	const one = "tests: [{name: a, expect: {effect: allow}}]\n"
	for document, want := range map[string]string{
		when("true") + one: "1 test, 0 failed; 1 of 1 rule decided a test",
		when("true") + "tests: [{name: a, expect: {effect: allow}}, {name: b, expect: {effect: allow}}]\n":                    "2 tests, 0 failed; 1 of 1 rule decided a test",
		"version: 1\nrules: [{id: a, effect: allow, when: 'true'}, {id: b, effect: deny, when: viewer.id == \"u1\"}]\n" + one: "1 test, 0 failed; 1 of 2 rules decided a test",
	} {
		report, err := policy.Test([]byte(document), policy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := report.Print(&out, "x"); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v\n%s\nwant %s", err, out.String(), want)
		}
	}
	p := mustCompile(t, when("true"), policy.Options{})
	const record = `{"decision":"deny","rule":"r","weight":%d,"inputs":{"request":{"type":"video"},"now":"2027-01-01T00:00:00Z"}}` + "\n"
	for log, want := range map[string]string{
		fmt.Sprintf(record, 1) + "x\n":    ": 1 decision, 1 line that is no record left out\n",
		fmt.Sprintf(record, 2) + "x\ny\n": ": 2 decisions in 1 record, 2 lines that are no records left out\n",
		fmt.Sprintf(record, 1):            "note: 1 was answered otherwise",
	} {
		report, err := policy.Diff(t.Context(), p, p, strings.NewReader(log), policy.DiffOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := report.Print(&out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v\n%s\nwant %s", err, out.String(), want)
		}
	}
}
