package policy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

const diffBefore = `
version: 1
rules:
  - {id: ban, effect: deny, when: request.country == "RU", reason: banned}
  - {id: premium, effect: allow, when: 'viewer.claims.?plan.orValue("") == "premium"', grant: {ttl: 1h}}
  - {id: basic, effect: allow, when: 'viewer.claims.?plan.orValue("") == "basic"'}
`

const diffAfter = `
version: 1
rules:
  - {id: premium, effect: allow, when: 'viewer.claims.?plan.orValue("") == "premium"', grant: {ttl: 2h}}
  - {id: basic, effect: allow, when: 'viewer.claims.?plan.orValue("") == "basic" && asset.id != "A2"'}
`

// decisions writes a decision log of n records.
func decisions(t testing.TB, p *policy.Policy, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for i := range n {
		q := &playback.Question{
			Viewer: &playback.Viewer{Issuer: "main", ID: fmt.Sprint("u", i), Authenticated: true, Claims: map[string]any{
				"plan": []string{"premium", "basic", "none"}[i%3], "roles": []any{"a", "b"}, "level": float64(i % 7),
			}},
			Object: &playback.Object{ID: "PID1", Policy: playback.PolicySigned, Known: true, Asset: &playback.Asset{
				ID: playback.AssetID(fmt.Sprint("A", i%4)), Duration: 5400, Status: "ready", Meta: map[string]any{"title": "T", "territories": []any{"DE", "AT"}},
			}},
			Client: &playback.Client{Country: []string{"DE", "RU", "US", "AT", "ZZ"}[i%5], Referrer: "https://www.acme.example/", UserAgent: "Mozilla/5.0"},
			Now:    time.Date(2026, 6, 1, 0, 0, i, 0, time.UTC),
		}
		d := p.Decide(q)
		r := map[string]any{"environment": "acme-prod", "decision": "deny", "rule": d.Rule, "inputs": playback.InputsOf(q)}
		if d.Refusal == nil {
			r["decision"] = "allow"
		}
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func compiled(t testing.TB, document string) *policy.Policy {
	t.Helper()
	p, err := policy.Compile([]byte(document), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDiffSaysWhoGainsAndWhoLoses(t *testing.T) {
	t.Parallel()
	before, after := compiled(t, diffBefore), compiled(t, diffAfter)
	log := append(decisions(t, before, 600), "\n{\"environment\":\"acme-prod\",\"decision\":\"allow\"}\n"...)
	r, err := policy.Diff(t.Context(), before, after, bytes.NewReader(log), policy.DiffOptions{Environment: "acme-prod"})
	if err != nil {
		t.Fatal(err)
	}
	// Of 60 records in a row: RU is 12, a third of them premium and a third
	// basic, of which A2 stays refused (one of four).
	got := []int{r.Records, r.Skipped, r.Otherwise, r.Gained, r.Lost, r.Changed, r.Moved}
	if diff := cmp.Diff([]int{600, 1, 0, 10 * (4 + 3), 10 * 4, 10 * (16 + 5), 0}, got); diff != "" {
		t.Errorf("records, skipped, otherwise, gained, lost, changed, moved (-want +got):\n%s", diff)
	}
	groups := map[string]policy.DiffGroup{}
	for _, g := range r.Groups {
		groups[g.By+" "+g.Value] = g
	}
	want := map[string]policy.DiffGroup{
		"rule ban (banned) → premium":   {By: "rule", Value: "ban (banned) → premium", Gained: 40},
		"rule ban (banned) → basic":     {By: "rule", Value: "ban (banned) → basic", Gained: 30},
		"rule basic → no_matching_rule": {By: "rule", Value: "basic → no_matching_rule", Lost: 40},
		"country RU":                    {By: "country", Value: "RU", Gained: 70},
		"asset A2":                      {By: "asset", Value: "A2", Gained: 10, Lost: 40},
		"plan basic":                    {By: "plan", Value: "basic", Gained: 30, Lost: 40},
		"plan premium":                  {By: "plan", Value: "premium", Gained: 40},
	}
	for name, w := range want {
		if diff := cmp.Diff(w, groups[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if len(r.Examples) != 15 {
		t.Errorf("%d examples, want 3 of each of the 5 ways", len(r.Examples))
	}
	if diff := cmp.Diff([]policy.DiffChange{{"ttl 1h → 2h", 160}, {"reason ban (banned) → no_matching_rule", 50}}, r.Changes); diff != "" {
		t.Errorf("what changed (-want +got):\n%s", diff)
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "by country") || !strings.Contains(out.String(), "premium → premium\n  ttl 1h → 2h\n  {") {
		t.Errorf("Print = %v\n%s", err, out.String())
	}
}

// TestDiffSaysWhatChanged: every member of a grant, and the reason of a refusal.
func TestDiffSaysWhatChanged(t *testing.T) {
	t.Parallel()
	rule := func(members string) string { return `{id: a, effect: allow, when: true, grant: {` + members + `}}` }
	held := `"viewer":{"id":"u1","authenticated":true,"grants":[{"id":"g1","type":"rental","scope":{"all":true}},{"id":"g2","type":"ticket","scope":{"all":true}}]},`
	for _, c := range []struct {
		before, after string
		want          []policy.DiffChange
		moved         int
	}{
		{rule("ttl: 1h"), rule("ttl: 3600"), nil, 0},
		{rule("ttl: 1h"), rule("ttl: 5m"), []policy.DiffChange{{"ttl 1h → 5m", 1}}, 0},
		{rule(""), rule("ttl: 5m"), []policy.DiffChange{{"ttl default → 5m", 1}}, 0},
		{rule("types: [video]"), rule("types: [video, gif]"), []policy.DiffChange{{"types video → video, gif", 1}}, 0},
		{rule("params: {video: {max_resolution: 1080p}}"), rule("params: {video: {max_resolution: 720p}}"), []policy.DiffChange{{"params.video.max_resolution 1080p → 720p", 1}}, 0},
		{rule("params: {video: {max_resolution: 1080p}}"), rule(""), []policy.DiffChange{{"params.video.max_resolution 1080p → none", 1}}, 0},
		{rule("viewer_params: {video: [max_resolution]}"), rule("viewer_params: {video: [min_resolution]}"), []policy.DiffChange{{"viewer_params.video max_resolution → min_resolution", 1}}, 0},
		{rule("cover_duration: false"), rule("bound_to_session: true"), []policy.DiffChange{{"bound_to_session false → true", 1}, {"cover_duration false → true", 1}}, 0},
		{rule("renditions: [audio.m4a]"), rule("playback_restriction_id: R1"), []policy.DiffChange{{"playback_restriction_id none → R1", 1}, {"renditions audio.m4a → none", 1}}, 0},
		{rule("until: 'now + duration(\"1h\")'"), rule("until: 'now + duration(\"2h\")'"), []policy.DiffChange{{"until", 1}}, 0},
		{rule("custom: {a: '1', b: '2'}"), rule("custom: {a: '2', c: '3'}"), []policy.DiffChange{{"custom.a", 1}, {"custom.b is gone", 1}, {"custom.c is new", 1}}, 0},
		{
			`{id: a, effect: allow, when: 'viewer.grants.exists(g, g.type == "rental")'}`, `{id: a, effect: allow, when: 'viewer.grants.exists(g, g.type == "ticket")'}`,
			[]policy.DiffChange{{"rests_on", 1}},
			0,
		},
		{`{id: a, effect: deny, when: true, reason: one}`, `{id: a, effect: deny, when: true, reason: two}`, []policy.DiffChange{{"reason a (one) → a (two)", 1}}, 0},
		{`{id: a, effect: allow, when: true}`, `{id: b, effect: allow, when: true}`, nil, 1},
		{`{id: a, effect: deny, when: true, reason: one}`, `{id: b, effect: deny, when: true, reason: one}`, nil, 1},
	} {
		log := `{"decision":"allow","rule":"a","inputs":{` + held + `"request":{"type":"video"},"now":"2027-01-01T00:00:00Z"}}`
		r, err := policy.Diff(t.Context(), compiled(t, "version: 1\nrules: ["+c.before+"]"), compiled(t, "version: 1\nrules: ["+c.after+"]"), strings.NewReader(log), policy.DiffOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, r.Changes); diff != "" || r.Changed != min(1, len(c.want)) || r.Moved != c.moved {
			t.Errorf("%s → %s: changed %d, moved %d (-want +got):\n%s", c.before, c.after, r.Changed, r.Moved, diff)
		}
	}
}

func TestDiffRefusesWhatIsNoDecisionLog(t *testing.T) {
	t.Parallel()
	p := compiled(t, diffBefore)
	for name, log := range map[string]string{
		"a type that is none": `{"inputs":{"request":{"type":"film"}}}`,
		"no address":          `{"inputs":{"request":{"ip":"here"}}}`,
		"a broken parameter":  `{"inputs":{"request":{"type":"video","params":{"max_resolution":"9p"}}}}`,
	} {
		if _, err := policy.Diff(t.Context(), p, p, strings.NewReader("\n"+log), policy.DiffOptions{}); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%s: Diff = %v, want an error of line 2", name, err)
		}
	}
}

func TestDiffDoesNotCallUnknownWhatNobodyLoses(t *testing.T) {
	t.Parallel()
	open := compiled(t, `{version: 1, rules: [{id: all, effect: allow, when: true}]}`)
	for document, unknown := range map[string]int{
		`{version: 1, rules: [{id: de, effect: allow, when: 'request.country == "DE"'}]}`:      110,
		`{version: 1, rules: [{id: holders, effect: allow, when: 'size(viewer.grants) > 0'}]}`: 100,
		`{version: 1, rules: [{id: members, effect: allow, when: 'viewer.authenticated'}]}`:    0,
	} {
		log := `{"decision":"allow","rule":"all","weight":100,"unread":["place","grants"],"inputs":{"request":{"type":"video","country":"ZZ"}}}
half a record
{"decision":"allow","rule":"all","weight":10,"unread":["place"],"inputs":{"request":{"type":"video","country":"ZZ"}}}
`
		r, err := policy.Diff(t.Context(), open, compiled(t, document), strings.NewReader(log), policy.DiffOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := []int{r.Records, r.Decisions, r.Bad, r.Unknown, r.Lost, min(1, len(r.Notes))}
		if diff := cmp.Diff([]int{2, 110, 1, unknown, 110 - unknown, min(1, unknown)}, got); diff != "" {
			t.Errorf("%s: records, decisions, bad, unknown, lost, notes (-want +got):\n%s", document, diff)
		}
	}
}

func TestDiffTellsWhatTheLogCannot(t *testing.T) {
	t.Parallel()
	p := compiled(t, `{version: 1, rules: [{id: own, effect: allow, when: 'viewer.id == "u1"'}]}`)
	r, err := policy.Diff(t.Context(), p, p, strings.NewReader(""), policy.DiffOptions{})
	if err != nil || !cmp.Equal(r.Notes, []string{"rule own reads viewer.id, of which the log has a pseudonym"}) {
		t.Errorf("Diff = %+v, %v, want a note", r, err)
	}
}

// BenchmarkDiff is the time for 100,000 recorded decisions.
func BenchmarkDiff(b *testing.B) {
	before, after := compiled(b, diffBefore), compiled(b, diffAfter)
	log := decisions(b, before, 100_000)
	for b.Loop() {
		if _, err := policy.Diff(b.Context(), before, after, bytes.NewReader(log), policy.DiffOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDiffOfTestsReplaysBothDocuments: without a log the documents' own tests are
// asked, each question once, and those that only the new document fails are named.
func TestDiffOfTestsReplaysBothDocuments(t *testing.T) {
	t.Parallel()
	const oldTests = `tests:
  - {name: nobody from there, given: {viewer: {claims: {plan: premium}}, request: {country: RU}}, expect: {effect: deny, reason: banned}}
  - {name: premium, given: {viewer: {claims: {plan: premium}}}, expect: {effect: allow, ttl: 1h}}
  - {name: basic, given: {viewer: {claims: {plan: basic}}, asset: {id: A1}}, expect: {effect: allow}}
  - {name: a renter, given: {viewer: {id: u1, grants: [{id: g1, type: rental}]}}, expect: {effect: deny}}
`
	const newTests = `tests:
  - {name: premium again, given: {viewer: {claims: {plan: premium}}}, expect: {effect: allow, ttl: 2h}}
  - {name: basic but not that, given: {viewer: {claims: {plan: basic}}, asset: {id: A2}}, expect: {effect: deny}}
`
	before, after := policy.Document{Text: []byte(diffBefore + oldTests)}, policy.Document{Text: []byte(diffAfter + newTests)}
	r, err := policy.DiffTests(t.Context(), before, after, policy.DiffOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{5, 1, 1, 1}, []int{r.Records, r.Gained, r.Lost, r.Changed}); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		": 5 tests\n", "gained, test \"nobody from there\", line 8 of the old document: ban (banned) → premium",
		"lost, test \"basic but not that\", line 8 of the new document: basic → no_matching_rule", "ttl 1h → 2h",
		"note: 2 tests pass with the old document and fail with the new one: nobody from there; premium\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	none := policy.Document{Text: []byte(diffBefore)}
	if _, err := policy.DiffTests(t.Context(), none, none, policy.DiffOptions{}); err == nil || !strings.Contains(err.Error(), "--decisions") {
		t.Errorf("without tests: %v", err)
	}
}
