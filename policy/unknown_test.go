package policy_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// ruleOf is a document of one rule.
func ruleOf(effect, condition string) string {
	return "version: 1\nrules:\n  - id: r\n    effect: " + effect + "\n    when: >-\n      " + condition + "\n"
}

// warningsOf returns the warnings about the rule that have a text in them.
func warningsOf(t *testing.T, document, text string, o policy.Options) []string {
	t.Helper()
	all, err := policy.Check([]byte(document), o, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	var found []string
	for _, w := range all {
		if strings.Contains(w, text) {
			found = append(found, w)
		}
	}
	return found
}

// TestRulesThatDoNotSeeUnknownObjects: a deny rule that reads an asset or a live
// stream and lets a playback ID pass that is not in the catalogue is warned of,
// with a condition that does not, and so is an allow rule that allows one.
func TestRulesThatDoNotSeeUnknownObjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ effect, condition, rewrite string }{
		{"deny", `asset.passthrough == "film-1"`, `!playback.known || asset.passthrough == "film-1"`},
		{"deny", `now < timestamp("2027-01-01T00:00:00Z") && asset.passthrough == "film-1"`, `now < timestamp("2027-01-01T00:00:00Z") && (!playback.known || asset.passthrough == "film-1")`},
		{"deny", `asset.meta.?embargo.orValue(false) && !viewer.authenticated && asset.duration > 60.0`, `!viewer.authenticated && (!playback.known || asset.meta.?embargo.orValue(false) && asset.duration > 60.0)`},
		{"deny", `viewer.authenticated ? asset.id == "A1" : asset.id == "A2"`, `!playback.known || (viewer.authenticated ? (asset.id == "A1") : (asset.id == "A2"))`},
		{"deny", `live_stream.status == "idle"`, `!playback.known || live_stream.status == "idle"`},
		{"deny", `has(asset.meta.hidden)`, `!playback.known || has(asset.meta.hidden)`},
		{"deny", `playback.known && asset.passthrough == "film-1"`, `!playback.known || asset.passthrough == "film-1"`},
		{"deny", `!asset.meta.?free.orValue(true) || viewer.id == "u1"`, `!playback.known || !asset.meta.?free.orValue(true) || viewer.id == "u1"`},
		{"deny", `now < timestamp(asset.meta.?released.orValue("1970-01-01T00:00:00Z"))`, `!playback.known || now < timestamp(asset.meta.?released.orValue("1970-01-01T00:00:00Z"))`},
		{"deny", `["film-1"].exists(f, f == asset.passthrough)`, `!playback.known || ["film-1"].exists(f, f == asset.passthrough)`},
		{"deny", `asset.id in viewer.claims.blocked`, `!playback.known || asset.id in viewer.claims.blocked`},
		{"allow", `asset.passthrough != "premium" || viewer.authenticated`, `playback.known && (asset.passthrough != "premium" || viewer.authenticated)`},
		{"allow", `asset.meta.?premium.orValue(false) == false`, `playback.known && asset.meta.?premium.orValue(false) == false`},
		// What the rule says of playback.known itself stands in no rewrite.
		{"deny", `playback.known && (asset.passthrough == "film-1" || playback.id == "P1")`, `!playback.known || asset.passthrough == "film-1" || playback.id == "P1"`},
		{"deny", `playback.known ? asset.passthrough == "film-1" : viewer.authenticated`, `!playback.known || asset.passthrough == "film-1"`},
		{"allow", `!playback.known || asset.passthrough == "free"`, `playback.known && asset.passthrough == "free"`},
		{"allow", `asset.passthrough == "free" || playback.known == false`, `playback.known && asset.passthrough == "free"`},
		{"allow", `viewer.authenticated && (!playback.known || asset.meta.?tier.orValue("") == "free")`, `playback.known && viewer.authenticated && asset.meta.?tier.orValue("") == "free"`},
		{"allow", `!(playback.known && asset.passthrough == "film-1")`, `playback.known && !(asset.passthrough == "film-1")`},
		{"allow", `playback.known ? asset.passthrough == "free" : viewer.authenticated || true`, `playback.known && asset.passthrough == "free"`},
		{"allow", `!playback.known || asset.passthrough == "a" || asset.passthrough == "b"`, `playback.known && (asset.passthrough == "a" || asset.passthrough == "b")`},
		{"allow", `now >= timestamp(asset.meta.?from.orValue("1970-01-01T00:00:00Z"))`, `playback.known && now >= timestamp(asset.meta.?from.orValue("1970-01-01T00:00:00Z"))`},
	} {
		found := warningsOf(t, ruleOf(c.effect, c.condition), "catalog.unknown: lookup", policy.Options{})
		if len(found) != 1 || !strings.Contains(found[0], "reads asset.") && !strings.Contains(found[0], "reads live_stream.") {
			t.Errorf("%s %s: %q", c.effect, c.condition, found)
			continue
		}
		if opens := c.effect == "allow" && strings.Contains(c.condition, "playback.known"); opens != strings.Contains(found[0], "refuses such an ID in a deny rule, but allows it in this one") {
			t.Errorf("%s %s: %s", c.effect, c.condition, found[0])
		}
		_, rewrite, _ := strings.Cut(found[0], "; write ")
		rewrite, _, _ = strings.Cut(rewrite, ", or set catalog.unknown: lookup")
		if c.rewrite != "" && rewrite != c.rewrite {
			t.Errorf("%s %s: %s, want %s", c.effect, c.condition, rewrite, c.rewrite)
		}
		if c.rewrite == "" {
			continue
		}
		if again := warningsOf(t, ruleOf(c.effect, rewrite), "catalog.unknown", policy.Options{}); len(again) > 0 {
			t.Errorf("%s %s: %q", c.effect, rewrite, again)
		}
		object := playback.Unknown("PID1")
		d := mustCompile(t, ruleOf(c.effect, rewrite), policy.Options{}).Decide(&playback.Question{Object: &object, Now: testTime()})
		if d.Grant != nil || c.effect == "deny" && d.Rule != "r" && !strings.Contains(rewrite, "now") {
			t.Errorf("%s %s lets an unknown ID pass: %s", c.effect, rewrite, d.Rule)
		}
		for unknown, want := range map[string]int{"signed": 1, "lookup": 0, "deny": 0} {
			if found := warningsOf(t, ruleOf(c.effect, c.condition), "catalog.unknown", policy.Options{Unknown: unknown}); len(found) != want {
				t.Errorf("%s %s with catalog.unknown: %s: %q", c.effect, c.condition, unknown, found)
			}
		}
	}
}

// TestRulesThatSeeUnknownObjects earn no warning: whatever guards them, they are
// at least as strict with what is unknown.
func TestRulesThatSeeUnknownObjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ effect, condition string }{
		{"deny", `!playback.known || asset.passthrough == "film-1"`},
		{"deny", `playback.known == false || asset.passthrough == "film-1"`},
		{"deny", `asset.passthrough == "film-1" || playback.known != true`},
		{"deny", `!(playback.known && asset.passthrough != "film-1")`},
		{"deny", `playback.known ? asset.passthrough == "film-1" : true`},
		{"deny", `now < timestamp("2027-01-01T00:00:00Z") && (!playback.known || asset.passthrough == "film-1")`},
		{"deny", `asset.id == "" || asset.passthrough == "film-1"`},
		{"deny", `!has(asset.id) || asset.passthrough == "film-1"`},
		{"deny", `asset.meta.embargo == true`}, // cannot be evaluated, and so denies
		{"deny", `!asset.meta.?free.orValue(false) && !viewer.authenticated`},
		{"deny", `!(asset.id in viewer.claims.?rights.orValue([]))`},
		{"deny", `asset.created_at < now - duration("720h")`},
		{"deny", `viewer.id == "u1"`},
		{"deny", `!playback.known`},
		{"allow", `asset.passthrough == "free"`},
		{"allow", `playback.id in viewer.claims.?rights.orValue([]) || asset.id in viewer.claims.?rights.orValue([])`},
		{"allow", `playback.known && asset.passthrough != "premium"`},
		{"allow", `asset.id != "" && asset.passthrough != "premium"`},
		{"allow", `true`},
		{"allow", `!playback.known`},
		{"allow", `!playback.known && asset.passthrough == ""`}, // it says itself that it is for these
	} {
		if found := warningsOf(t, ruleOf(c.effect, c.condition), "catalog.unknown", policy.Options{}); len(found) > 0 {
			t.Errorf("%s %s: %q", c.effect, c.condition, found)
		}
	}
}

// TestClaimsWithoutWhichADenyRuleCannotBeEvaluated: a deny rule that reads a claim
// as if it were always there refuses everybody who does not have it. The warning
// has a condition that does not.
func TestClaimsWithoutWhichADenyRuleCannotBeEvaluated(t *testing.T) {
	t.Parallel()
	const every, some = "refuses every viewer without the claim ", "can refuse any viewer without the claim "
	for condition, want := range map[string]string{
		`viewer.claims.blocked == true`:                                  every + `blocked: a deny rule that cannot be evaluated denies; write viewer.claims.?blocked.orValue(false) == true`,
		`viewer.claims.blocked`:                                          every + `blocked: a deny rule that cannot be evaluated denies; write viewer.claims.?blocked.orValue(false)`,
		`viewer.claims["https://acme.example/tier"] == "none"`:           `write viewer.claims[?"https://acme.example/tier"].orValue("") == "none"`,
		`viewer.claims.age < 18`:                                         `write viewer.claims.?age.orValue(0) < 18`,
		`18 > viewer.claims.age`:                                         `write 18 > viewer.claims.?age.orValue(0)`,
		`"banned" in viewer.claims.roles`:                                `write "banned" in viewer.claims.?roles.orValue([])`,
		`viewer.claims.plan in ["basic"]`:                                `write viewer.claims.?plan.orValue("") in ["basic"]`,
		`viewer.claims.roles.exists(r, r == "banned")`:                   `write viewer.claims.?roles.orValue([]).exists(r, r == "banned")`,
		`viewer.claims.account.blocked == true`:                          `write viewer.claims.?account.?blocked.orValue(false) == true`,
		`viewer.claims.email.endsWith("@acme.example")`:                  `write viewer.claims.?email.orValue("").endsWith("@acme.example")`,
		`viewer.authenticated && viewer.claims.blocked == true`:          some + `blocked`,
		`viewer.claims.blocked == true || request.country == "KP"`:       every + `blocked`,
		`!(viewer.claims.ok == true)`:                                    every + `ok`,
		`has(viewer.claims.a) && viewer.claims.b == 1`:                   some + `b`,
		`viewer.claims.?plan.orValue("") == "x" && viewer.claims.b == 1`: some + `b`,
		`asset.meta.adult == true`:                                       `refuses every asset without the meta adult`,
		`request.params.width > 100`:                                     `refuses every request without the parameter width`,
		`timestamp(viewer.claims.until) < now`:                           `write timestamp(viewer.claims.?until.orValue(…)) < now`,
	} {
		found := warningsOf(t, ruleOf("deny", condition), "without the", policy.Options{Unknown: "lookup"})
		if len(found) != 1 || !strings.Contains(found[0], want) {
			t.Errorf("%s: %q, want %s", condition, found, want)
			continue
		}
		_, rewrite, _ := strings.Cut(found[0], "; write ")
		if !strings.Contains(rewrite, "…") {
			if again := warningsOf(t, ruleOf("deny", rewrite), "without the", policy.Options{}); len(again) > 0 {
				t.Errorf("%s: %q", rewrite, again)
			}
		}
		if found := warningsOf(t, ruleOf("allow", condition), "without the", policy.Options{}); len(found) > 0 {
			t.Errorf("allow %s: %q", condition, found)
		}
	}
	for _, condition := range []string{
		`viewer.claims.?blocked.orValue(false) == true`, `has(viewer.claims.blocked) && viewer.claims.blocked == true`,
		`"blocked" in viewer.claims && viewer.claims.blocked == true`, `!has(viewer.claims.blocked) || viewer.claims.blocked == true`,
		`has(viewer.claims.blocked) ? viewer.claims.blocked == true : false`, `viewer.claims.?a.hasValue() && viewer.claims.a == 1`,
		`(has(viewer.claims.age) ? viewer.claims.age : 0) < 18`, `viewer.claims.?roles.orValue([]).exists(r, r == "x")`, `size(viewer.claims) == 0`,
		`viewer.claims.blocked == true || true`, `viewer.id == "u1"`, `viewer.claims[?"a b"].orValue("") == "x"`,
	} {
		if found := warningsOf(t, ruleOf("deny", condition), "without the", policy.Options{}); len(found) > 0 {
			t.Errorf("%s: %q", condition, found)
		}
	}
}

// TestConditionsThatFailForABareQuestion: whatever it is that a deny rule needs, who
// does not have it is refused, so the check says so.
func TestConditionsThatFailForABareQuestion(t *testing.T) {
	t.Parallel()
	const note = "because it cannot be evaluated then"
	for _, condition := range []string{
		`viewer.claims.?org.orValue({}).banned == true`,
		`viewer.claims.?age.orValue("") < 18`,
		`timestamp(asset.meta.?release.orValue("")) > now`,
		`cidr("10.0.0.0/8").containsIP(request.ip)`,
		`ip(request.ip).isLoopback()`,
		`playback.known && timestamp(asset.meta.?released.orValue("")) > now`,
		`viewer.authenticated && ip(request.ip).isLoopback()`,
	} {
		if found := warningsOf(t, ruleOf("deny", condition), note, policy.Options{}); len(found) != 1 {
			t.Errorf("deny %s: %q, want one warning", condition, found)
		}
		if found := warningsOf(t, ruleOf("allow", condition), note, policy.Options{}); len(found) > 0 {
			t.Errorf("allow %s: %q", condition, found)
		}
	}
	for _, condition := range []string{
		`viewer.claims.?org.?banned.orValue(false) == true`, `isIP(request.ip) && cidr("10.0.0.0/8").containsIP(request.ip)`,
		`has(asset.meta.release) && timestamp(asset.meta.release) > now`, `request.country == "KP"`, `asset.duration > 3600.0`,
		`viewer.grants.exists(g, g.type == "rental")`, `request.user_agent.contains("bot")`, `live_stream.status == "idle"`,
	} {
		if found := warningsOf(t, ruleOf("deny", condition), note, policy.Options{}); len(found) > 0 {
			t.Errorf("deny %s: %q", condition, found)
		}
	}
}

// TestTimeZonesAreCheckedAtLoad: a rule with one that does not exist fails whoever
// asks.
func TestTimeZonesAreCheckedAtLoad(t *testing.T) {
	t.Parallel()
	for condition, valid := range map[string]bool{
		`now.getHours("Europe/Berlin") < 6`: true, `now.getHours("UTC") < 6`: true, `now.getHours("+02:00") < 6`: true, `now.getHours() < 6`: true,
		`now.getHours("Europe/Berlim") < 6`: false, `now.getDayOfWeek("CET+1x") == 0`: false, `now.getMonth("Local") == 3`: false,
	} {
		_, err := policy.Compile([]byte(ruleOf("allow", condition)), policy.Options{})
		if valid != (err == nil) || err != nil && !strings.Contains(err.Error(), "is not a time zone such as Europe/Berlin or UTC") {
			t.Errorf("%s: %v, want valid: %v", condition, err, valid)
		}
	}
}
