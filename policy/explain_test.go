package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// given is a question as `given` writes it.
type given map[string]any

func parseGiven(t *testing.T, text string) given {
	t.Helper()
	var g given
	if err := json.Unmarshal([]byte(text), &g); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return g
}

// with returns a copy with a flip's changes made.
func (g given) with(t *testing.T, f playback.Flip) given {
	t.Helper()
	text, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	next := parseGiven(t, string(text))
	for _, c := range f.Changes {
		if c.Variable == "playback.id" {
			delete(next, "playback_id")
		}
		m := map[string]any(next)
		for _, key := range c.Path[:len(c.Path)-1] {
			below, ok := m[key].(map[string]any)
			if !ok {
				below = map[string]any{}
				m[key] = below
			}
			m = below
		}
		if last := c.Path[len(c.Path)-1]; c.Remove {
			delete(m, last)
		} else {
			m[last] = c.Sample
		}
	}
	return next
}

func (g given) explain(t *testing.T, document string) *playback.Explanation {
	t.Helper()
	text, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	x, err := policy.ExplainGiven(t.Context(), []byte(document), text, policy.Options{})
	if err != nil {
		t.Fatalf("ExplainGiven(%s): %v", text, err)
	}
	return x
}

// refused are refusals, each with a change that must be among those that the
// explanation names.
var refused = map[string]struct{ rules, given, want string }{
	"another country": {
		`{id: a, effect: allow, when: 'request.country in ["DE", "AT"]'}`,
		`{"request": {"country": "US"}}`,
		"allowed if request.country ∈ {AT, DE}",
	},
	"an embargo": {
		`{id: e, effect: deny, when: 'now < timestamp("2027-01-01T00:00:00Z") && asset.passthrough == "film-1"', reason: not_released}, {id: a, effect: allow, when: true}`,
		`{"asset": {"passthrough": "film-1"}, "now": "2026-06-01T00:00:00Z"}`,
		"allowed from 2027-01-01T00:00Z",
	},
	"an embargo in the asset's meta": {
		`{id: e, effect: deny, when: 'now <= timestamp(asset.meta.?release_at.orValue("1970-01-01T00:00:00Z"))'}, {id: a, effect: allow, when: true}`,
		`{"asset": {"meta": {"release_at": "2026-12-24T18:00:00Z"}}}`,
		"allowed after 2026-12-24T18:00Z",
	},
	"a plan that is not enough": {
		`{id: a, effect: allow, when: 'viewer.claims.?plan.orValue("") == "premium"'}`,
		`{"viewer": {"id": "u1", "authenticated": true, "claims": {"plan": "basic"}}}`,
		"allowed if viewer.claims.plan = premium",
	},
	"a claim that is not there": {
		`{id: a, effect: allow, when: 'viewer.claims.level >= 3'}`,
		`{}`,
		"allowed if viewer.claims.level ≥ 3",
	},
	"a child": {
		`{id: e, effect: deny, when: 'viewer.claims.?age.orValue(0) < 18', reason: age}, {id: a, effect: allow, when: true}`,
		`{"viewer": {"claims": {"age": 15}}}`,
		"allowed if viewer.claims.age ≥ 18",
	},
	"a type that is not granted": {
		`{id: a, effect: allow, when: true, grant: {types: [video, thumbnail]}}`,
		`{"request": {"type": "storyboard"}}`,
		"allowed if request.type ∈ {thumbnail, video}",
	},
	"an address outside": {
		`{id: a, effect: allow, when: 'isIP(request.ip) && cidr("203.0.113.0/24").containsIP(request.ip)'}`,
		`{"request": {"ip": "198.51.100.1"}}`,
		"allowed if request.ip is in 203.0.113.0/24",
	},
	"an address inside": {
		`{id: e, effect: deny, when: 'isIP(request.ip) && cidr("203.0.113.0/24").containsIP(ip(request.ip))'}, {id: a, effect: allow, when: true}`,
		`{"request": {"ip": "203.0.113.99"}}`,
		`allowed if request.ip is not in 203.0.113.0/24`,
	},
	"a referrer that does not match": {
		`{id: a, effect: allow, when: 'request.origin.matches("^https://([a-z]+\\.)?acme\\.example$")'}`,
		`{"request": {"origin": "https://evil.example"}}`,
		`allowed if request.origin matches ^https://([a-z]+\.)?acme\.example$`,
	},
	"a right in a list": {
		`{id: a, effect: allow, when: 'playback.id in viewer.claims.?rights.orValue([])'}`,
		`{"playback_id": "PID1", "viewer": {"claims": {"rights": ["PID2"]}}}`,
		`allowed if viewer.claims.rights holds PID1`,
	},
	"a role in a list": {
		`{id: a, effect: allow, when: 'viewer.claims.?roles.orValue([]).exists(r, r == "editor" || r == "admin")'}`,
		`{}`,
		`allowed if viewer.claims.roles holds editor`,
	},
	"a grant that nobody has": {
		`{id: a, effect: allow, when: 'viewer.grants.exists(g, g.type == "rental" && g.scope.?asset_id.orValue("") == "A1")'}`,
		`{"viewer": {"id": "u1", "authenticated": true}, "asset": {"id": "A1"}}`,
		`allowed if viewer.grants holds {"scope":{"asset_id":"A1"},"type":"rental"}`,
	},
	"a subscription that has ended": {
		`{id: a, effect: allow, when: 'timestamp(int(viewer.claims.?paid_until.orValue(0))) + duration("72h") > now'}`,
		`{"viewer": {"claims": {"paid_until": 1800000000}}, "now": "2027-02-01T00:00:00Z"}`,
		"allowed if viewer.claims.paid_until > 1801180800",
	},
	"a live stream that is over": {
		`{id: a, effect: allow, when: 'live_stream.status == "active"'}`,
		`{"live_stream": {"id": "L1", "status": "idle"}}`,
		"allowed if live_stream.status = active",
	},
	"outside of a set": {
		`{id: a, effect: allow, when: 'inSet("territories", request.country)'} SETS territories: [DE, AT]`,
		`{"request": {"country": "US"}}`,
		"allowed if request.country is in the set territories",
	},
	"in a set of networks": {
		`{id: e, effect: deny, when: 'inSet("bad", request.ip)'}, {id: a, effect: allow, when: true} SETS bad: [198.51.100.0/24]`,
		`{"request": {"ip": "198.51.100.4"}}`,
		"allowed if request.ip is not in the set bad",
	},
	"the wrong device": {
		`{id: a, effect: allow, when: 'device(request.user_agent) in ["tv", "console"]'}`,
		`{"request": {"user_agent": "curl/8"}}`,
		"allowed if request.user_agent is of a tv",
	},
	"the wrong page": {
		`{id: a, effect: allow, when: 'host(request.referrer) == "www.acme.example"'}`,
		`{}`,
		"allowed if request.referrer is on www.acme.example",
	},
	"before prime time": {
		`{id: a, effect: allow, when: 'inWindow(now, "Europe/Berlin", "20:15", "06:00")'}`,
		`{"now": "2026-07-01T10:07:00Z"}`,
		"allowed from 2026-07-01T18:15Z",
	},
	"the wrong hour": {
		`{id: a, effect: allow, when: 'now.getHours("Europe/Berlin") >= 20'}`,
		`{"now": "2026-07-01T10:07:00Z"}`,
		"allowed from 2026-07-01T18:00Z",
	},
	"nobody, nowhere": {
		`{id: a, effect: allow, when: 'viewer.authenticated && viewer.claims.?plan.orValue("") == "premium" && request.country in ["DE", "AT"]'}`,
		`{"request": {"country": "US"}}`,
		"allowed if viewer.authenticated and viewer.claims.plan = premium and request.country ∈ {AT, DE}",
	},
	"a ban beside a missing plan": {
		`{id: e, effect: deny, when: 'request.country in ["RU", "BY"]'}, {id: a, effect: allow, when: 'viewer.claims.?plan.orValue("") == "premium"'}`,
		`{"request": {"country": "RU"}}`,
		"allowed if request.country ∉ {BY, RU} and viewer.claims.plan = premium",
	},
	"a deny rule that cannot be evaluated": {
		`{id: e, effect: deny, when: 'viewer.claims.banned'}, {id: a, effect: allow, when: true}`,
		`{}`,
		"allowed if not viewer.claims.banned",
	},
	"a country that is licensed, but banned": {
		`{id: e, effect: deny, when: 'request.country in ["AT", "FR"]'}, {id: a, effect: allow, when: 'viewer.authenticated && request.country in ["AT", "DE", "CH"]'}`,
		`{"request": {"country": "US"}}`,
		"allowed if viewer.authenticated and request.country ∈ {CH, DE}",
	},
	"one of two ways": {
		`{id: a, effect: allow, when: '(request.country == "DE" && viewer.authenticated) || viewer.claims.?staff.orValue(false)'}`,
		`{}`,
		"allowed if viewer.claims.staff",
	},
}

// TestEveryRefusalNamesTheChangeThatFlipsIt: the change that is named flips the
// answer when it is made.
func TestEveryRefusalNamesTheChangeThatFlipsIt(t *testing.T) {
	t.Parallel()
	for name, c := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules, sets, _ := strings.Cut(c.rules, " SETS ")
			document := "{version: 1, sets: {" + sets + "}, rules: [" + rules + "]}\n"
			g := parseGiven(t, c.given)
			x := g.explain(t, document)
			if x.Effect != "deny" || len(x.Flips) == 0 || x.Partial {
				t.Fatalf("Explain = %s, %d flips, partial %t, want a refusal with flips", x.Effect, len(x.Flips), x.Partial)
			}
			var texts []string
			for _, f := range x.Flips {
				texts = append(texts, f.Text)
				if again := g.with(t, f).explain(t, document); again.Effect != "allow" || again.Rule != f.Rule {
					t.Errorf("%s: then %s by %q, want allow by %q", f.Text, again.Effect, again.Rule, f.Rule)
				}
			}
			if c.want != "" && !slices.Contains(texts, c.want) {
				t.Errorf("flips %q, want %q among them", texts, c.want)
			}
			t.Log(texts)
		})
	}
}

// BenchmarkExplain is what an explanation costs with a hundred rules.
func BenchmarkExplain(b *testing.B) {
	var rules strings.Builder
	for i := range 100 {
		fmt.Fprintf(&rules, "  - {id: r%d, effect: allow, when: 'viewer.authenticated && viewer.claims.?plan.orValue(\"\") == \"p%d\" && request.country in [\"DE\", \"AT\"]'}\n", i, i)
	}
	p := compiled(b, "version: 1\nrules:\n"+rules.String())
	q := &playback.Question{Viewer: &playback.Viewer{}, Client: &playback.Client{Country: "US"}}
	for b.Loop() {
		if x := p.Explain(q, nil); len(x.Flips) == 0 {
			b.Fatal("no flips")
		}
	}
}

// BenchmarkRefusal is what a refusal costs where time could change it.
func BenchmarkRefusal(b *testing.B) {
	for name, document := range map[string]string{
		"without a date": `{version: 1, rules: [{id: e, effect: deny, when: 'asset.passthrough == ""'}, {id: a, effect: allow, when: true}]}`,
		"with a date":    `{version: 1, rules: [{id: e, effect: deny, when: 'now < timestamp("2100-01-01T00:00:00Z")'}, {id: a, effect: allow, when: true}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			p := compiled(b, document)
			q := &playback.Question{Viewer: &playback.Viewer{}, Now: time.Unix(1_900_000_000, 0)}
			b.ReportAllocs()
			for b.Loop() {
				if p.Decide(q).Refusal == nil {
					b.Fatal("allowed")
				}
			}
		})
	}
}

// A text that a condition makes a time of is compared as one, and a text that is
// none denies by an error, which answers nothing.
func TestAnEndInTheMetaIsExplainedTheRightWayRound(t *testing.T) {
	t.Parallel()
	x := parseGiven(t, `{"now": "2026-06-01T00:00:00Z", "asset": {"meta": {"expires": "2027-01-01T00:00:00Z"}}}`).explain(t, "version: 1\nrules: ["+
		`{id: over, effect: deny, when: 'now >= timestamp(asset.meta.?expires.orValue("9999-12-31T00:00:00Z"))'}, {id: a, effect: allow, when: true}`+"]")
	var texts []string
	for _, f := range x.Flips {
		texts = append(texts, f.Text)
		if f.Code == playback.CodePolicyError {
			t.Errorf("an error is no answer: %s", f.Text)
		}
	}
	if want := `denied if asset.meta.expires ≤ "2026-06-01T00:00:00Z"`; !slices.ContainsFunc(texts, func(s string) bool { return strings.HasPrefix(s, want) }) {
		t.Errorf("%q, want %s", texts, want)
	}
}
