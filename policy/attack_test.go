package policy_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// asks decides about one viewer's claims under one deny rule that stands above
// an allow rule for everybody.
func asks(t *testing.T, deny string, q *playback.Question) playback.Decision {
	t.Helper()
	text := "version: 1\nrules:\n  - {id: all, effect: allow, when: 'true'}\n  - id: block\n    effect: deny\n    reason: blocked\n    when: >-\n      " + deny + "\n"
	return mustCompile(t, text, policy.Options{}).Decide(q)
}

func claims(c map[string]any) *playback.Question {
	return &playback.Question{Viewer: &playback.Viewer{ID: "u1", Authenticated: true, Claims: c}}
}

// TestLeavingAClaimOutDoesNotEscapeADenyRule. Attack: a viewer obtains a token
// of a second application of the same issuer, which has no `age`. CEL absorbs
// an error only where the other operand decides anyway; everywhere else it
// reaches the rule, and the rule denies.
func TestLeavingAClaimOutDoesNotEscapeADenyRule(t *testing.T) {
	t.Parallel()
	for deny, want := range map[string]playback.Code{
		`viewer.claims.age < 18`:                                  playback.CodePolicyError,
		`!(viewer.claims.age >= 18)`:                              playback.CodePolicyError,
		`viewer.claims.age < 18 || false`:                         playback.CodePolicyError,
		`viewer.claims.age < 18 && true`:                          playback.CodePolicyError,
		`viewer.claims.age < 18 || viewer.authenticated`:          "blocked", // true whatever the age
		`viewer.claims.age < 18 && !viewer.authenticated`:         "",        // false whatever the age
		`viewer.claims.age < 18 ? true : false`:                   playback.CodePolicyError,
		`["x"].exists(x, viewer.claims.age < 18)`:                 playback.CodePolicyError,
		`viewer.claims.?age.orValue(0) < 18`:                      "blocked", // the total way to write it
		`!(viewer.claims.?age.optMap(a, a >= 18).orValue(false))`: "blocked",
	} {
		if d := asks(t, deny, claims(nil)); code(d) != want {
			t.Errorf("%s without the claim: %q, want %q", deny, code(d), want)
		}
	}
}

// TestClaimOfAnotherTypeDoesNotEscapeADenyRule. Attack: an issuer that lets
// users edit their profile puts "42" or [42] where a number was.
func TestClaimOfAnotherTypeDoesNotEscapeADenyRule(t *testing.T) {
	t.Parallel()
	for _, age := range []any{"42", []any{42.0}, map[string]any{}, true, nil} {
		if d := asks(t, `viewer.claims.age < 18`, claims(map[string]any{"age": age})); code(d) != playback.CodePolicyError {
			t.Errorf("age %v: %q, want policy_error", age, code(d))
		}
	}
}

// TestTextIsNoBoolean. Attack: a claim "true" where the rule wants true.
func TestTextIsNoBoolean(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, when(`viewer.claims.admin == true`), policy.Options{})
	for _, admin := range []any{"true", 1.0, []any{true}, map[string]any{"true": true}} {
		if d := p.Decide(claims(map[string]any{"admin": admin})); d.Grant != nil {
			t.Errorf("admin %v is admitted", admin)
		}
	}
	if d := p.Decide(claims(map[string]any{"admin": true})); d.Grant == nil {
		t.Errorf("admin true is refused: %v", d.Refusal)
	}
}

// TestClaimsDoNotReachTheVariables. Attack: claims named like the fields that
// the rules trust.
func TestClaimsDoNotReachTheVariables(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, when(`viewer.authenticated && viewer.id == "admin" || viewer.issuer == "main" || request.country == "DE"`), policy.Options{})
	q := &playback.Question{Viewer: &playback.Viewer{Claims: map[string]any{
		"id": "admin", "authenticated": true, "issuer": "main", "viewer": map[string]any{"authenticated": true, "id": "admin"}, "country": "DE",
	}}}
	if d := p.Decide(q); d.Grant != nil {
		t.Error("a claim was taken for a variable")
	}
}

// TestHugeClaimsCostABoundedAmount. Attack: a token, or a backend's viewer
// object, with a list of tens of thousands of roles. The rule stops at the
// limit, and so denies.
func TestHugeClaimsCostABoundedAmount(t *testing.T) {
	t.Parallel()
	roles := make([]any, 20_000)
	for i := range roles {
		roles[i] = "role"
	}
	d := asks(t, `viewer.claims.roles.exists(r, r == "banned")`, claims(map[string]any{"roles": roles}))
	if code(d) != playback.CodePolicyError || !strings.Contains(d.Refusal.Error(), "cost") {
		t.Errorf("Decide = %v, want policy_error because of its cost", d.Refusal)
	}
	if d := asks(t, `viewer.claims.roles.exists(r, r == "banned")`, claims(map[string]any{"roles": roles[:50]})); d.Grant == nil {
		t.Errorf("fifty roles: %v, want allow", d.Refusal)
	}
}

// TestHugeHeadersCostABoundedAmount. Attack: a User-Agent as long as the server
// takes, against a regular expression.
func TestHugeHeadersCostABoundedAmount(t *testing.T) {
	t.Parallel()
	const rule = `request.user_agent.matches("(?i)(bot|crawler|spider|scraper|fetcher).*https?://")`
	q := &playback.Question{Client: &playback.Client{UserAgent: strings.Repeat("bot ", 16<<10)}}
	if d := asks(t, rule, q); code(d) != playback.CodePolicyError {
		t.Errorf("a long user agent: %q, want policy_error", code(d))
	}
	q.Client.UserAgent = "GoodBot/1.0 (+https://bot.example)"
	if d := asks(t, rule, q); code(d) != "blocked" {
		t.Errorf("a bot: %q, want blocked", code(d))
	}
}

// TestHidingTheTypeDoesNotHideATypo: dyn() takes the check away at load, and
// the rule fails when it is asked instead of reading nothing.
func TestHidingTheTypeDoesNotHideATypo(t *testing.T) {
	t.Parallel()
	if d := asks(t, `dyn(viewer).plam == "x"`, claims(nil)); code(d) != playback.CodePolicyError {
		t.Errorf("dyn(viewer).plam: %q, want policy_error", code(d))
	}
	if d := asks(t, `has(dyn(viewer).plam)`, claims(nil)); code(d) != playback.CodePolicyError {
		t.Errorf("has(dyn(viewer).plam): %q, want policy_error", code(d))
	}
	if d := asks(t, `dyn(viewer).id == "u1" && has(dyn(viewer).id)`, claims(nil)); code(d) != "blocked" {
		t.Errorf("dyn(viewer).id: %q, want blocked", code(d))
	}
}

const knownPseudonym = "P42TNmt5-9J6mPuOdHU89A"

// TestPseudonymsOfEnvironmentsHaveNothingInCommon. Attack: one operator key for
// two environments, and somebody who reads the tokens of both.
func TestPseudonymsOfEnvironmentsHaveNothingInCommon(t *testing.T) {
	t.Parallel()
	custom := func(env playback.EnvironmentID, key, viewer string) string {
		p := mustCompile(t, one(`{custom: {v: pseudonym(viewer.id)}}`), policy.Options{Environment: env, PseudonymKey: playback.NewSecret(key)})
		d := p.Decide(&playback.Question{Viewer: &playback.Viewer{ID: viewer}})
		if d.Refusal != nil {
			t.Fatalf("Decide: %v", d.Refusal)
		}
		return d.Custom
	}
	// HMAC-SHA-256(key, "playgate pseudonym" 0 "acme-prod" 0 "u1"), 128 bits, by openssl.
	if got, want := custom("acme-prod", "key-1", "u1"), `{"v":"`+knownPseudonym+`"}`; got != want {
		t.Errorf("pseudonym = %s, want %s", got, want)
	}
	seen := map[string]bool{}
	for _, c := range [][3]string{{"acme-prod", "key-1", "u1"}, {"acme-prod", "key-1", "u2"}, {"acme-prod", "key-2", "u1"}, {"acme-test", "key-1", "u1"}, {"acme", "key-1", "prod\x00u1"}} {
		got := custom(playback.EnvironmentID(c[0]), c[1], c[2])
		if seen[got] {
			t.Errorf("%q has the pseudonym of another: %s", c, got)
		}
		seen[got] = true
	}
}

// TestExpressionsHaveNoWayOut: no clock, no randomness, no environment, no
// network, no files, and nothing that CEL may add in a later version unnoticed.
func TestExpressionsHaveNoWayOut(t *testing.T) {
	t.Parallel()
	for _, condition := range []string{
		`now() == now`, `timestamp.now() == now`, `math.random() > 0.5`, `env("HOME") == ""`, `http.get("http://169.254.169.254/") == ""`,
		`file("/etc/passwd") == ""`, `regex.replace("a", "a", "b") == "b"`, `base64.encode(b"x") == ""`, `json.parse("{}") == {}`,
	} {
		if _, err := policy.Compile([]byte(when(condition)), policy.Options{}); err == nil {
			t.Errorf("%s compiles", condition)
		}
	}
}
