package policy_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
	"github.com/playgate/playgate/yamldoc"
)

// noise is what nobody can act upon: dates that stand for none, and examples
// instead of what must be so.
var noise = regexp.MustCompile(`19(69|70)-|9999-|such as|environment\.`)

// flipsHold makes every change that an explanation names, and asks again. It
// returns how many there were.
func flipsHold(t *testing.T, document string, g given) int {
	t.Helper()
	x := g.explain(t, document)
	for _, f := range x.Flips {
		again := g.with(t, f).explain(t, document)
		if f.Effect == x.Effect || again.Effect != f.Effect || again.Rule != f.Rule || again.Code != f.Code {
			was, _ := json.Marshal(g)
			t.Errorf("%s\n%s: then %s by %q with %q, want %s by %q with %q", was, f.Text, again.Effect, again.Rule, again.Code, f.Effect, f.Rule, f.Code)
		}
		if noise.MatchString(f.Text) {
			t.Errorf("%s: nobody can act upon that", f.Text)
		}
	}
	if rules, _, ok := strings.Cut(document, "\ntests:\n"); ok || strings.HasPrefix(document, "version:") && !strings.Contains(document, "tests") {
		cases, err := policy.WriteCases(policy.Cases(x))
		if err != nil {
			t.Fatal(err)
		}
		report, err := policy.Test([]byte(rules+"\ntests:\n"+string(cases)), policy.Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, cases)
		}
		if report.Failures() > 0 || len(report.Tests) != len(x.Flips)+1 {
			var out strings.Builder
			_ = report.Print(&out, "what explain wrote")
			t.Error(out.String())
		}
	}
	return len(x.Flips)
}

// documentsWithTests are those of the pages, of this package's tests and of the
// configuration that is shipped.
func documentsWithTests(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, page := range []string{rightsPage, rulesPage} {
		for _, block := range regexp.MustCompile("(?s)```yaml\n(version.*?)```").FindAllStringSubmatch(string(read(t, page)), -1) {
			all = append(all, block[1])
		}
	}
	for _, file := range append(documents(t, "testdata/*.yaml"), documents(t, "../configs/policies/*.yaml")...) {
		all = append(all, string(read(t, file)))
	}
	return all
}

// TestEveryFlipFlips: for every question of every test that there is.
func TestEveryFlipFlips(t *testing.T) {
	t.Parallel()
	questions, flips := 0, 0
	for _, document := range documentsWithTests(t) {
		var parsed struct {
			Tests []struct {
				Given map[string]any `yaml:"given"`
			} `yaml:"tests"`
		}
		if root, err := yamldoc.Parse([]byte(document)); err != nil || root.Decode(&parsed) != nil {
			t.Fatal(err, document)
		}
		if _, err := policy.Compile([]byte(document), policy.Options{}); err != nil && strings.Contains(err.Error(), "cannot be read") {
			continue // of several files
		}
		for _, test := range parsed.Tests {
			g := given(test.Given)
			if g == nil {
				g = given{}
			}
			questions++
			flips += flipsHold(t, document, g)
		}
	}
	if questions < 100 || flips < 2*questions {
		t.Errorf("%d questions, %d flips: there are more", questions, flips)
	}
	t.Logf("%d questions, %d flips", questions, flips)
}

// hold are questions of viewers who hold something that is not in force, each
// with what is among the flips.
var hold = map[string]struct {
	rules, given string
	want         []string
	request      string // of the first that has one
}{
	"one that begins later": {
		`{id: a, effect: allow, when: 'viewer.grants.exists(g, g.type == "rental")'}`,
		`{"now": "2026-12-01T00:00:00Z", "asset": {"id": "A1"}, "viewer": {"id": "u1", "grants": [{"id": "g1", "type": "rental", "scope": {"asset_id": "A1"}, "from": "2027-01-01T00:00:00Z"}]}}`,
		[]string{"allowed from 2027-01-01T00:00Z", "allowed if grant g1 begins now (it begins at 2027-01-01T00:00Z)"},
		`{"method":"PUT","path":"/v1/grants/g1","body":{"viewer":{"issuer":"main","id":"u1"},"type":"rental","scope":{"asset_id":"A1"},"from":1796083200}}`,
	},
	"one that has ended": {
		`{id: a, effect: allow, when: 'size(viewer.grants) > 0'}`,
		`{"now": "2026-12-01T00:00:00Z", "viewer": {"id": "u1", "issuer": "shop", "grants": [{"id": "g1", "type": "subscription", "until": "2026-11-01T00:00:00Z", "attributes": {"n": 1}}]}}`,
		[]string{"allowed before 2026-11-01T00:00Z", "allowed if grant g1 is extended (it ended at 2026-11-01T00:00Z)"},
		`{"method":"PUT","path":"/v1/grants/g1","body":{"viewer":{"issuer":"shop","id":"u1"},"type":"subscription","scope":{"all":true},"until":1796169600,"attributes":{"n":1}}}`,
	},
	"one that must last a week": {
		`{id: a, effect: allow, when: 'viewer.grants.exists(g, g.until > now + duration("168h"))'}`,
		`{"now": "2026-12-01T00:00:00Z", "viewer": {"id": "u1", "grants": [{"id": "g1", "type": "subscription", "until": "2026-11-01T00:00:00Z"}]}}`,
		[]string{"allowed if grant g1 is extended (it ended at 2026-11-01T00:00Z)"},
		"",
	},
	"a rental that was watched": {
		`{id: a, effect: allow, when: 'viewer.grants.exists(g, g.type == "rental")'}`,
		`{"now": "2026-12-03T12:30:00Z", "viewer": {"id": "u1", "grants": [{"id": "g1", "type": "rental", "play_within": "48h", "first_play": "2026-12-01T00:00:00Z"}]}}`,
		[]string{"allowed before 2026-12-03T00:00Z", "allowed if grant g1 is extended by play_within (the time after its first play was over at 2026-12-03T00:00Z)"},
		"",
	},
	"one for something else, that has ended": {
		`{id: a, effect: allow, when: 'viewer.grants.exists(g, g.type == "purchase")'}`,
		`{"now": "2026-12-01T00:00:00Z", "asset": {"id": "A1"}, "viewer": {"id": "u1", "grants": [{"id": "g1", "type": "purchase", "scope": {"asset_id": "A2"}, "until": 1793491200}]}}`,
		[]string{"allowed if grant g1 is for asset A1 (it is for asset A2) and is extended (it ended at 2026-11-01T00:00Z)", `allowed if viewer.grants holds {"scope":{"asset_id":"A1"},"type":"purchase"}`},
		"",
	},
	"one that is nearly over": {
		`{id: a, effect: allow, when: 'viewer.grants.size() > 0'}`,
		`{"now": "2026-12-01T00:00:00Z", "viewer": {"id": "u1", "grants": [{"id": "g1", "type": "purchase", "until": "2026-12-02T00:00:00Z"}]}}`,
		[]string{"denied from 2026-12-02T00:00Z", "denied if grant g1 is deleted"},
		`{"method":"DELETE","path":"/v1/grants/g1"}`,
	},
	"one that is a reason to refuse": {
		`{id: e, effect: deny, when: 'viewer.grants.exists(g, g.attributes.?suspended.orValue(false))'}, {id: a, effect: allow, when: true}`,
		`{"viewer": {"id": "u1", "grants": [{"id": "g1", "type": "purchase", "attributes": {"suspended": true}}, {"id": "g2", "type": "purchase"}]}}`,
		[]string{"allowed if grant g1 is deleted"},
		"",
	},
	"a level": {
		`{id: a, effect: allow, when: 'viewer.grants.exists(g, g.type == "ticket" && g.attributes.?level.orValue(0) > 2 && g.?until.orValue(now) > now)'}`,
		`{"playback_id": "P1", "viewer": {"id": "u1"}}`, nil, "",
	},
	"nobody in particular": {
		`{id: a, effect: allow, when: 'viewer.grants.size() > 0'}`,
		`{"playback_id": "P1"}`,
		[]string{`allowed if viewer.grants holds {"scope":{"playback_id":"P1"},"type":"subscription"} (of a viewer with an ID: nobody else holds any)`},
		"",
	},
	"what only a test can give": {
		`{id: a, effect: allow, when: 'viewer.grants.exists(g, g.product == "film-1")'}`, `{"viewer": {"id": "u1"}}`,
		[]string{`allowed if viewer.grants holds {"product":"film-1","scope":{"all":true},"type":"subscription"}`},
		"",
	},
	"another asset's": {
		`{id: a, effect: allow, when: 'asset.id == "A2" && viewer.grants.exists(g, g.type == "rental")'}`,
		`{"asset": {"id": "A1"}, "viewer": {"id": "u1", "grants": [{"id": "g1", "type": "rental", "scope": {"asset_id": "A2"}}]}}`,
		[]string{"allowed if asset.id = A2"},
		"",
	},
	"by a country, too": {
		`{id: a, effect: allow, when: 'request.country == "DE" && viewer.grants.exists(g, g.type == "rental")'}`,
		`{"now": "2026-12-01T00:00:00Z", "request": {"country": "US"}, "viewer": {"id": "u1", "grants": [{"id": "g1", "type": "rental", "until": "2026-11-01T00:00:00Z"}]}}`,
		[]string{"allowed if request.country = DE and grant g1 is extended (it ended at 2026-11-01T00:00Z)"},
		"",
	},
}

// TestGrantsThatAreNotInForceAreExplained, with what would bring them into force.
func TestGrantsThatAreNotInForceAreExplained(t *testing.T) {
	t.Parallel()
	for name, c := range hold {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document := "version: 1\nrules: [" + c.rules + "]\n"
			g := parseGiven(t, c.given)
			if flipsHold(t, document, g) == 0 {
				t.Error("there are no flips")
			}
			var texts, requests []string
			for _, f := range g.explain(t, document).Flips {
				texts = append(texts, f.Text)
				for _, change := range f.Changes {
					if change.Request != nil {
						text, _ := json.Marshal(change.Request)
						requests = append(requests, string(text))
					}
				}
			}
			for _, want := range c.want {
				if !slices.Contains(texts, want) {
					t.Errorf("flips %q, want %q among them", texts, want)
				}
			}
			if c.request != "" && !slices.Contains(requests, c.request) {
				t.Errorf("requests %q, want %s", requests, c.request)
			}
		})
	}
	x := parseGiven(t, hold["one for something else, that has ended"].given).explain(t, "version: 1\nrules: [{id: a, effect: allow, when: false}]\n")
	if len(x.Idle) != 1 || x.Idle[0].ID != "g1" || len(x.Idle[0].Why) != 2 || x.Idle[0].Why[0] != (playback.Obstacle{Code: "other_scope", Text: "is for asset A2"}) ||
		x.Idle[0].Why[1] != (playback.Obstacle{Code: "ended", At: 1793491200, Text: "ended at 2026-11-01T00:00:00Z"}) {
		t.Errorf("not in force: %+v", x.Idle)
	}
}

// TestFlipsSayFromWhereToWhere: between the borders of several comparisons.
func TestFlipsSayFromWhereToWhere(t *testing.T) {
	t.Parallel()
	for when, c := range map[string]struct {
		given string
		want  []string
	}{
		`viewer.claims.n >= 3 && viewer.claims.n < 10`:                       {`{}`, []string{"allowed if 3 ≤ viewer.claims.n < 10"}},
		`viewer.claims.n > 3 && viewer.claims.n != 5`:                        {`{}`, []string{"allowed if 3 < viewer.claims.n < 5", "allowed if viewer.claims.n > 5"}},
		`viewer.claims.n < 3 || viewer.claims.n > 5`:                         {`{"viewer": {"claims": {"n": 4}}}`, []string{"allowed if viewer.claims.n < 3", "allowed if viewer.claims.n > 5"}},
		`viewer.claims.n >= 4 && viewer.claims.n <= 4`:                       {`{}`, []string{"allowed if viewer.claims.n = 4"}},
		`request.asn > 10 && request.asn < 12`:                               {`{}`, []string{"allowed if 10 < request.asn < 12"}},
		`has(viewer.claims.plan)`:                                            {`{}`, []string{"allowed if viewer.claims.plan is set"}},
		`viewer.id != ""`:                                                    {`{}`, []string{"allowed if viewer.id is set"}},
		`viewer.claims.?plan.orValue("") != "basic"`:                         {`{"viewer": {"claims": {"plan": "basic"}}}`, []string{"allowed if viewer.claims.plan ≠ basic"}},
		`viewer.claims.plan != "basic"`:                                      {`{"viewer": {"claims": {"plan": "basic"}}}`, []string{"allowed if viewer.claims.plan is set, but not basic"}},
		`!(request.country in ["RU", "BY"])`:                                 {`{"request": {"country": "RU"}}`, []string{"allowed if request.country ∉ {BY, RU}"}},
		`asset.status != "preparing"`:                                        {`{"asset": {"status": "preparing"}}`, []string{"allowed if asset.status ∈ {errored, ready}"}},
		`now < timestamp(asset.meta.?x.orValue("9999-12-31T00:00:00Z"))`:     {`{"asset": {"meta": {"x": "2020-01-01T00:00:00Z"}}}`, nil},
		`now >= timestamp(asset.meta.?x.orValue("1970-01-01T00:00:00Z"))`:    {`{"asset": {"meta": {"x": "2030-01-01T00:00:00Z"}}}`, []string{"allowed from 2030-01-01T00:00Z"}},
		`environment.id == "prod" || request.country == "DE"`:                {`{"environment": {"id": "test"}}`, []string{"allowed if request.country = DE"}},
		`viewer.claims.size() == 0 || viewer.claims.?plan.orValue("") == ""`: {`{"viewer": {"claims": {"plan": "x"}}}`, []string{"allowed if viewer.claims.plan is absent"}},
	} {
		document := "version: 1\nrules:\n  - id: a\n    effect: allow\n    when: >-\n      " + when + "\n"
		g := parseGiven(t, c.given)
		flipsHold(t, document, g)
		var texts []string
		for _, f := range g.explain(t, document).Flips {
			texts = append(texts, f.Text)
		}
		for _, want := range c.want {
			if !slices.Contains(texts, want) {
				t.Errorf("%s: %q, want %q", when, texts, want)
			}
		}
	}
}

// TestWhatIsAllowedSaysNothingOfThePast: when it was otherwise helps nobody.
func TestWhatIsAllowedSaysNothingOfThePast(t *testing.T) {
	t.Parallel()
	document := `{version: 1, rules: [{id: e, effect: deny, when: 'now < timestamp("2020-01-01T00:00:00Z")'}, {id: a, effect: allow, when: true}]}`
	if x := parseGiven(t, `{}`).explain(t, document); x.Effect != "allow" || len(x.Flips) > 0 {
		t.Errorf("flips %+v, want none", x.Flips)
	}
}
