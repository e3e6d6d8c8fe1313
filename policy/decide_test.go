package policy_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// one returns a document of one allow rule for everybody with a grant.
func one(grant string) string {
	return "version: 1\nrules: [{id: r, effect: allow, when: 'true', grant: " + grant + "}]"
}

// when returns a document of one allow rule with a condition.
func when(condition string) string {
	return "version: 1\nrules:\n  - id: r\n    effect: allow\n    when: >-\n      " + condition + "\n"
}

func code(d playback.Decision) playback.Code {
	if d.Refusal == nil {
		return ""
	}
	return d.Refusal.Code
}

// TestDecisionSaysWhichRuleDecidedAndWhy walks through every way a question can
// end.
func TestDecisionSaysWhichRuleDecidedAndWhy(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
version: 1
rules:
  - {id: embargo, effect: deny, when: viewer.id == "embargoed", reason: not_released}
  - {id: plain, effect: deny, when: viewer.id == "plain"}
  - {id: broken, effect: deny, when: viewer.id == "broken" && viewer.claims.nothing}
  - {id: custom, effect: allow, when: viewer.id == "custom", grant: {custom: {x: viewer.claims.nothing}}}
  - {id: member, effect: allow, when: viewer.authenticated}
`, policy.Options{})
	for _, c := range []struct {
		viewer playback.Viewer
		kind   playback.TokenType
		rule   string
		code   playback.Code
		kindOf playback.Kind
	}{
		{playback.Viewer{ID: "embargoed"}, playback.Video, "embargo", "not_released", playback.Forbidden},
		{playback.Viewer{ID: "plain"}, playback.Video, "plain", "denied", playback.Forbidden},
		{playback.Viewer{ID: "broken"}, playback.Video, "broken", playback.CodePolicyError, playback.Forbidden},
		{playback.Viewer{ID: "custom"}, playback.Video, "custom", playback.CodePolicyError, playback.Forbidden},
		{playback.Viewer{ID: "custom"}, playback.GIF, "custom", playback.CodeTypeNotGranted, playback.Forbidden},
		{playback.Viewer{ID: "u1"}, playback.Video, "", playback.CodeNoMatchingRule, playback.Forbidden},
		{playback.Viewer{ID: "u1", Authenticated: true}, playback.Thumbnail, "member", playback.CodeTypeNotGranted, playback.Forbidden},
		{playback.Viewer{ID: "u1", Authenticated: true}, playback.TokenTypes, "member", playback.CodeTypeNotGranted, playback.Forbidden},
		{playback.Viewer{ID: "u1", Authenticated: true}, playback.Video, "member", "", ""},
	} {
		d := p.Decide(&playback.Question{Viewer: &c.viewer, Type: c.kind})
		if d.Rule != c.rule || code(d) != c.code {
			t.Errorf("Decide(%s, %s) = rule %q, code %q, want %q, %q", c.viewer.ID, c.kind, d.Rule, code(d), c.rule, c.code)
		}
		if granted := d.Grant != nil; granted != (c.code == "") {
			t.Errorf("Decide(%s, %s) has a grant: %t, want %t", c.viewer.ID, c.kind, granted, c.code == "")
		}
		if d.Refusal != nil && d.Refusal.Kind != c.kindOf {
			t.Errorf("Decide(%s, %s) is %s, want %s", c.viewer.ID, c.kind, d.Refusal.Kind, c.kindOf)
		}
	}
}

// TestRefusalHidesRuleTextFromTheViewer: the cause is for the log only.
func TestRefusalHidesRuleTextFromTheViewer(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, "version: 1\nrules: [{id: hidden-rule, effect: deny, when: viewer.claims.secret_field == 1}]", policy.Options{})
	d := p.Decide(&playback.Question{})
	if strings.Contains(d.Refusal.Message, "secret_field") || strings.Contains(d.Refusal.Message, "hidden-rule") {
		t.Errorf("Message = %q, want no rule text", d.Refusal.Message)
	}
	if d.Refusal.Err == nil || !strings.Contains(d.Refusal.Err.Error(), "secret_field") || !strings.Contains(d.Refusal.Err.Error(), "hidden-rule") {
		t.Errorf("Err = %v, want the rule and the cause", d.Refusal.Err)
	}
	if again := p.Decide(&playback.Question{}); again.Refusal == d.Refusal {
		t.Error("two questions share a refusal that has a cause of its own")
	}
}

// TestForcingAnyClipBoundClosesAllFour, whichever type it is forced on.
func TestForcingAnyClipBoundClosesAllFour(t *testing.T) {
	t.Parallel()
	for grant, want := range map[string]bool{
		`{}`: false,
		`{params: {video: {max_resolution: 480p}, thumbnail: {time: 5}}}`: false,
		`{params: {video: {asset_start_time: 0}}}`:                        true,
		`{params: {video: {asset_end_time: 60}}}`:                         true,
		`{params: {video: {program_start_time: 1}}}`:                      true,
		`{params: {storyboard: {program_end_time: 1}}}`:                   true,
		`{params: {playback: {asset_end_time: "60.0"}}}`:                  true,
		`{viewer_params: {video: [asset_start_time]}}`:                    false,
	} {
		d := mustCompile(t, one(grant), policy.Options{}).Decide(&playback.Question{})
		if d.Grant.ForcesClip() != want {
			t.Errorf("ForcesClip of %s = %t, want %t", grant, d.Grant.ForcesClip(), want)
		}
	}
}

// TestForcedParametersAreCanonical: two spellings are one value, so that they
// can never become two tokens.
func TestForcedParametersAreCanonical(t *testing.T) {
	t.Parallel()
	want := playback.Params{{Name: "asset_end_time", JSON: "60"}, {Name: "max_resolution", JSON: `"480p"`}}
	for _, grant := range []string{
		`{params: {video: {asset_end_time: 60, max_resolution: 480p}}}`,
		`{params: {video: {max_resolution: "480p", asset_end_time: 60.0}}}`,
		`{params: {playback: {max_resolution: '480p', asset_end_time: "6e1"}}}`,
	} {
		d := mustCompile(t, one(grant), policy.Options{}).Decide(&playback.Question{})
		if diff := cmp.Diff(want, d.Grant.Forced(playback.Video)); diff != "" {
			t.Errorf("Forced of %s (-want +got):\n%s", grant, diff)
		}
	}
}

// TestCustomClaimsAreCanonicalJSON: one value, one spelling, sorted keys, and a
// claim without a value is left out.
func TestCustomClaimsAreCanonicalJSON(t *testing.T) {
	t.Parallel()
	q := &playback.Question{
		Viewer: &playback.Viewer{ID: "u1", Claims: map[string]any{"z": 1.0, "a": []any{true, nil, "x"}, "m": map[string]any{"b": 2.5, "a": "<&>"}}},
		Now:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	for grant, want := range map[string]string{
		`{}`:                           ``,
		`{custom: {}}`:                 ``,
		`{custom: {b: '1', a: '"x"'}}`: `{"a":"x","b":1}`,
		`{custom: {a: '1.0', b: '1u', c: '-0.0'}}`:                    `{"a":1,"b":1,"c":0}`,
		`{custom: {n: '9007199254740993', e: '1e21', f: '0.1'}}`:      `{"e":1e+21,"f":0.1,"n":9007199254740993}`,
		`{custom: {c: viewer.claims}}`:                                `{"c":{"a":[true,null,"x"],"m":{"a":"<&>","b":2.5},"z":1}}`,
		`{custom: {k: 'viewer.claims.map(k, k)'}}`:                    `{"k":["a","m","z"]}`,
		`{custom: {o: 'viewer.claims.?none', p: 'viewer.claims.?z'}}`: `{"p":1}`,
		`{custom: {o: 'viewer.claims.?none'}}`:                        ``,
		`{custom: {m: '{"b": 1, "a": [2, {"d": false}]}'}}`:           `{"m":{"a":[2,{"d":false}],"b":1}}`,
		`{custom: {m: '{?"a": viewer.claims.?none, "b": []}'}}`:       `{"m":{"b":[]}}`,
		`{custom: {t: now, d: 'duration("90s")', b: 'b"hi"'}}`:        `{"b":"aGk=","d":"90s","t":"2026-01-02T03:04:05Z"}`,
		`{custom: {"a b\"é": 'viewer.id'}}`:                           `{"a b\"é":"u1"}`,
	} {
		p := mustCompile(t, one(grant), policy.Options{})
		for range 20 { // Go's maps iterate in another order each time
			if d := p.Decide(q); d.Custom != want || d.Refusal != nil {
				t.Fatalf("Custom of %s = %s, %v, want %s", grant, d.Custom, d.Refusal, want)
			}
		}
	}
}

// TestCustomClaimThatFailsRefuses: falling through to the next rule, or leaving
// the claim out, could drop what ties the token to the viewer.
func TestCustomClaimThatFailsRefuses(t *testing.T) {
	t.Parallel()
	q := &playback.Question{Viewer: &playback.Viewer{Claims: map[string]any{"long": strings.Repeat("x", 1100), "n": 0.0, "fits": strings.Repeat("x", 1015)}}}
	for expression, ok := range map[string]bool{
		`viewer.claims.none`:        false,
		`viewer.claims.long`:        false, // more than 1 KiB in all
		`viewer.claims.fits`:        true,  // {"c":"…"}: 1023 bytes
		`viewer.claims.fits + "x"`:  true,
		`viewer.claims.fits + "xx"`: false,
		`1.0 / viewer.claims.n`:     false, // infinity is no JSON
		`dyn(viewer)`:               false, // nor is an object
		`dyn({1: 2})`:               false,
		`"" + viewer.claims.n`:      false,
	} {
		p := mustCompile(t, "version: 1\nrules: [{id: a, effect: allow, when: 'true', grant: {custom: {c: '"+expression+"'}}}, {id: b, effect: allow, when: 'true'}]", policy.Options{})
		d := p.Decide(q)
		if allowed := d.Grant != nil; allowed != ok || d.Rule != "a" {
			t.Errorf("custom %s: allowed by %q %t (%v), want %t by a", expression, d.Rule, allowed, d.Refusal, ok)
		}
		if !ok && !errors.Is(d.Refusal, playback.CodePolicyError) {
			t.Errorf("custom %s: %v, want policy_error", expression, d.Refusal)
		}
	}
}

// TestQuestionThatKnowsNothingIsAnswered: nil parts are unknown parts.
func TestQuestionThatKnowsNothingIsAnswered(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, when(`request.country == "ZZ" && request.ip == "" && viewer.id == "" && asset.duration == 0.0 && playback.id == "" &&
      live_stream.id == "" && now == timestamp("1970-01-01T00:00:00Z") && environment.name == "Production"`),
		policy.Options{Environment: "acme-prod", Name: "Production"})
	for name, q := range map[string]*playback.Question{
		"nil":   {},
		"empty": {Viewer: &playback.Viewer{}, Object: &playback.Object{}, Client: &playback.Client{}},
	} {
		if d := p.Decide(q); d.Grant == nil {
			t.Errorf("%s: %v, want allow", name, d.Refusal)
		}
	}
}

// TestNumbersAreDoublesWhateverGoCallsThem: meta comes from YAML and JSON
// decoders that choose other types.
func TestNumbersAreDoublesWhateverGoCallsThem(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, when(`asset.meta.n == 3 && asset.meta.n / 2.0 == 1.5 && asset.meta.n in [3.0]`), policy.Options{})
	for _, n := range []any{3, int64(3), uint64(3), 3.0} {
		q := &playback.Question{Object: &playback.Object{Asset: &playback.Asset{Meta: map[string]any{"n": n}}}}
		if d := p.Decide(q); d.Grant == nil {
			t.Errorf("%T: %v, want allow", n, d.Refusal)
		}
	}
	q := &playback.Question{Object: &playback.Object{Asset: &playback.Asset{Meta: map[string]any{"n": make(chan int)}}}}
	if d := p.Decide(q); d.Grant != nil {
		t.Error("a value that JSON does not have matched a rule")
	}
}

// TestMemoChangesNothing: what is remembered of an identity or a catalogue
// entry gives the same answers as what is not.
func TestMemoChangesNothing(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, fourRules, policy.Options{})
	same := cmp.Options{ // a rule has one of each
		cmp.Comparer(func(a, b *playback.Grant) bool { return a == b }),
		cmp.Comparer(func(a, b *atomic.Uint64) bool { return a == b }),
	}
	for _, plan := range []string{"premium", "free"} {
		hot := hotQuestion(plan)
		cold := *hot
		viewer, object := *hot.Viewer, *hot.Object
		viewer.Memo, object.Memo = nil, nil
		cold.Viewer, cold.Object = &viewer, &object
		for range 3 {
			if diff := cmp.Diff(p.Decide(&cold), p.Decide(hot), same); diff != "" {
				t.Errorf("%s: (-cold +hot):\n%s", plan, diff)
			}
		}
		if hot.Viewer.Memo.Load() == nil || hot.Object.Memo.Load() == nil {
			t.Error("nothing was remembered")
		}
	}
	stranger := hotQuestion("free")
	stranger.Viewer.Memo.Keep("what another room keeps")
	if d := p.Decide(stranger); d.Rule != "preview" {
		t.Errorf("with a foreign memo: rule %q, want preview", d.Rule)
	}
}

// TestConcurrentQuestionsDoNotMix: one policy, one shared identity, many
// goroutines, different answers.
func TestConcurrentQuestionsDoNotMix(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, one(`{custom: {v: viewer.id, c: request.country, s: request.session_id, p: viewer.claims.plan}}`), policy.Options{})
	shared := map[string]*playback.Viewer{}
	for _, id := range []string{"a", "b", "c"} {
		shared[id] = &playback.Viewer{ID: id, Claims: map[string]any{"plan": "plan-" + id}, Memo: new(playback.Memo)}
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 200 {
				for id, v := range shared {
					session := playback.SessionID(fmt.Sprintf("s%d-%d", worker, i))
					d := p.Decide(&playback.Question{Viewer: v, SessionID: session, Client: &playback.Client{Country: "D" + strings.ToUpper(id)}})
					want := fmt.Sprintf(`{"c":"D%s","p":"plan-%s","s":"%s","v":"%s"}`, strings.ToUpper(id), id, session, id)
					if d.Custom != want {
						t.Errorf("Custom = %s, want %s", d.Custom, want)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestDecideAllocates next to nothing on the hot path.
// Budget: 1 for `now`, 1 for the optional of `.?plan`.
func TestDecideAllocates(t *testing.T) { // not parallel: AllocsPerRun counts the whole process
	p := mustCompile(t, fourRules, policy.Options{})
	for plan, budget := range map[string]float64{"premium": 2, "free": 2} {
		q := hotQuestion(plan)
		if got := testing.AllocsPerRun(200, func() { p.Decide(q) }); got > budget+poolLoss {
			t.Errorf("Decide of a %s viewer allocates %v times, want at most %v", plan, got, budget)
		}
	}
}

// TestAddressesAreWrittenAsRulesWriteThem.
func TestAddressesAreWrittenAsRulesWriteThem(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, one(`{custom: {ip: request.ip}}`), policy.Options{})
	for addr, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "::ffff:203.0.113.9": "203.0.113.9", "2001:DB8::1": "2001:db8::1", "fe80::1%eth0": "fe80::1",
	} {
		d := p.Decide(&playback.Question{Client: &playback.Client{IP: netip.MustParseAddr(addr)}})
		if d.Custom != `{"ip":"`+want+`"}` {
			t.Errorf("request.ip of %s = %s, want %s", addr, d.Custom, want)
		}
	}
}

// TestGrantsAreNotSharedBetweenRules: what one rule says about viewer
// parameters changes no other.
func TestGrantsAreNotSharedBetweenRules(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
version: 1
rules:
  - {id: a, effect: allow, when: viewer.id == "a", grant: {viewer_params: {gif: []}}}
  - {id: b, effect: allow, when: 'true'}
`, policy.Options{})
	a := p.Decide(&playback.Question{Viewer: &playback.Viewer{ID: "a"}}).Grant
	b := p.Decide(&playback.Question{}).Grant
	if len(a.ViewerParams[playback.GIF]) != 0 || len(b.ViewerParams[playback.GIF]) != len(playback.DefaultViewerParams(playback.GIF)) {
		t.Errorf("gif parameters: %v and %v", maps.Keys(a.ViewerParams[playback.GIF]), maps.Keys(b.ViewerParams[playback.GIF]))
	}
}
