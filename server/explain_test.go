package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/server"
)

// Explain answers as an issuer does whose rules refuse video and nothing else.
func (f *fakeIssuer) Explain(ctx context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Explanation, error) {
	f.mu.Lock()
	explain := f.explain
	f.mu.Unlock()
	if explain != nil {
		return explain(ctx, req)
	}
	if req.PlaybackID == "NONE" {
		return nil, playback.Errorf(playback.CodeUnknownPlaybackID, "There is no such playback ID.")
	}
	x := &issuer.Explanation{
		Object: &playback.Object{ID: req.PlaybackID, Policy: playback.PolicySigned, Known: true, Asset: &playback.Asset{ID: "A1", Duration: 60, CreatedAt: time.Unix(1_700_000_000, 0)}},
		Now:    time.Unix(1_900_000_000, 0), Revision: "0123456789ab",
	}
	gone := playback.Held{ID: "g2", Type: playback.HeldTicket, Scope: playback.Scope{Kind: playback.ScopeAll}, Until: time.Unix(1_800_000_000, 0)}
	x.Grants = []playback.Held{{ID: "g1", Type: playback.HeldRental, Scope: playback.ScopeOf(x.Object), Until: time.Unix(2_000_000_000, 0), PlayWithin: time.Hour}}
	x.Idle = []playback.IdleGrant{{ID: "g2", Why: gone.Obstacles(x.Object, x.Now), Held: gone}}
	for _, t := range req.Types {
		item := issuer.TypeExplanation{Type: t, Signed: true, Cached: true, Params: req.Params[t], Rules: &playback.Explanation{
			Revision: "0123456789ab", Effect: "allow", Rule: "all", Rules: []playback.RuleResult{}, Flips: []playback.Flip{},
		}}
		if t == playback.Video {
			refusal := *playback.Denied("not_released")
			refusal.AvailableFrom = time.Unix(1_900_000_100, 0)
			x.Refusal = &refusal
		}
		x.Types = append(x.Types, item)
	}
	if x.Refusal == nil {
		x.Plan = &issuer.Plan{Key: "K1", Lifetime: playback.Lifetime{L: 3600, Exp: 1_900_003_700}, Bound: issuer.BoundRule}
	}
	return x, nil
}

// explains replaces the explanation; nil takes that back.
func (f *fakeIssuer) explains(explain func(context.Context, *issuer.Request) (*issuer.Explanation, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.explain = explain
}

// TestAnEnvironmentExplainsOneThingAtATime. Attack: many explanations at once,
// each as expensive as thousands of requests.
func TestAnEnvironmentExplainsOneThingAtATime(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	operator := basicAuth(acmeOperator, secret)
	begun, end := make(chan struct{}), make(chan struct{})
	k.issuer.explains(func(ctx context.Context, req *issuer.Request) (*issuer.Explanation, error) {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("an explanation has no deadline")
		}
		close(begun)
		<-end
		return &issuer.Explanation{Object: &playback.Object{ID: req.PlaybackID}}, nil
	})
	first := make(chan response, 1)
	go func() { first <- k.post("/v1/explain", `{"playback_id":"PID1"}`, operator) }()
	<-begun
	second := k.post("/v1/explain", `{"playback_id":"PID1"}`, operator)
	k.want(second, http.StatusTooManyRequests, playback.CodeRateLimited)
	if second.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q, want 1", second.Header.Get("Retry-After"))
	}
	k.want(k.post("/v1/tokens", `{"playback_id":"PID1"}`, bearer(acmeViewer)), http.StatusOK, "")
	close(end)
	k.want(<-first, http.StatusOK, "")
	k.issuer.explains(nil)
	k.want(k.post("/v1/explain", `{"playback_id":"PID1"}`, operator), http.StatusOK, "")
}

// TestExplanationsAreAtMostOneMebibyte: what is not needed to understand the answer
// is left out, and the answer says so.
func TestExplanationsAreAtMostOneMebibyte(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	operator := basicAuth(acmeOperator, secret)
	var grants, rules int
	k.issuer.explains(func(_ context.Context, req *issuer.Request) (*issuer.Explanation, error) {
		x := &issuer.Explanation{Object: &playback.Object{ID: req.PlaybackID}}
		for range grants {
			x.Grants = append(x.Grants, playback.Held{ID: "g", Type: playback.HeldTicket, Attributes: map[string]any{"note": strings.Repeat("x", 2000)}})
		}
		explained := &playback.Explanation{Effect: "allow"}
		for range rules {
			explained.Rules = append(explained.Rules, playback.RuleResult{Rule: "r", When: strings.Repeat("x", 2000)})
		}
		x.Types = []issuer.TypeExplanation{{Type: playback.Video, Rules: explained}}
		return x, nil
	})
	for _, c := range []struct {
		grants, rules      int
		shortened, noRules bool
	}{{10, 10, false, false}, {1000, 10, true, false}, {1000, 1000, true, true}} {
		grants, rules = c.grants, c.rules
		r := k.post("/v1/explain", `{"playback_id":"PID1"}`, operator)
		k.want(r, http.StatusOK, "")
		if len(r.body) > 1<<20 {
			t.Errorf("%d grants, %d rules: %d bytes", c.grants, c.rules, len(r.body))
		}
		data, _ := r.decode(t)["data"].(map[string]any)
		kind, _ := data["types"].([]any)[0].(map[string]any)
		if shortened := data["shortened"] == true; shortened != c.shortened || (kind["rules"] == nil) != c.noRules {
			t.Errorf("%d grants, %d rules: shortened %v, rules %v", c.grants, c.rules, shortened, kind["rules"] != nil)
		}
	}
}

// fakePolicies has a shadow that may be put in force once.
type fakePolicies struct{}

func (fakePolicies) State(env playback.EnvironmentID) server.PolicyState {
	return server.PolicyState{Revision: "of-" + string(env), Rules: 3, Shadow: "next"}
}

func (fakePolicies) Promote(_ context.Context, o server.PolicyOrder) (server.PolicyState, error) {
	if o.Revision != "" && o.Revision != "next" {
		return server.PolicyState{}, &playback.Error{Kind: playback.Conflict, Code: playback.CodePolicyConflict, Message: "The shadow is another one."}
	}
	return server.PolicyState{Revision: "next", Rules: 4}, nil
}

func TestExplainAnswersWithoutMinting(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	operator := basicAuth(acmeOperator, secret)
	r := k.post("/v1/explain", `{"playback_id":"PID1","types":["thumbnail"],"params":{"thumbnail":{"time":5}},"viewer":{"id":"u1"}}`, operator)
	k.want(r, http.StatusOK, "")
	want := map[string]any{"data": map[string]any{
		"environment_id": "acme-prod", "effect": "allow", "status": 200.0, "policy_revision": "0123456789ab", "now": 1.9e9,
		"catalogue": map[string]any{"playback_id": "PID1", "policy": "signed", "known": true, "asset": map[string]any{"id": "A1", "duration": 60.0, "created_at": 1.7e9}, "live_stream": nil},
		"grants": []any{map[string]any{
			"id": "g1", "viewer": map[string]any{"issuer": "main", "id": "u1"}, "type": "rental", "scope": map[string]any{"asset_id": "A1"},
			"from": nil, "until": 2e9, "play_within": 3600.0, "first_play": nil, "attributes": map[string]any{},
		}},
		"grants_not_in_force": []any{map[string]any{
			"grant": map[string]any{
				"id": "g2", "viewer": map[string]any{"issuer": "main", "id": "u1"}, "type": "ticket", "scope": map[string]any{"all": true},
				"from": nil, "until": 1.8e9, "play_within": nil, "first_play": nil, "attributes": map[string]any{},
			},
			"why": []any{map[string]any{"code": "ended", "at": 1.8e9, "text": "ended at 2027-01-15T08:00:00Z"}},
		}},
		"types": []any{map[string]any{
			"type": "thumbnail", "params": map[string]any{"time": 5.0}, "cache": "hit",
			"rules": map[string]any{"policy_revision": "0123456789ab", "effect": "allow", "rule": "all", "code": "", "rules": []any{}, "flips": []any{}, "flips_partial": false},
		}},
		"plan": map[string]any{"key_id": "K1", "expires_at": 1900003700.0, "expires_by": "rule", "least_life": 3600.0, "cut": false},
	}}
	if diff := cmp.Diff(want, r.decode(t)); diff != "" {
		t.Errorf("explanation (-want +got):\n%s", diff)
	}
	for _, body := range []any{want["data"].(map[string]any)["grants"].([]any)[0], want["data"].(map[string]any)["grants_not_in_force"].([]any)[0].(map[string]any)["grant"]} {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		k.want(k.put("/v1/grants/"+body.(map[string]any)["id"].(string), string(text), basicAuth(acmeBackend, secret)), http.StatusCreated, "")
	}
	refused := k.post("/v1/explain", `{"playback_id":"PID1"}`, operator)
	k.want(refused, http.StatusOK, "")
	data, _ := refused.decode(t)["data"].(map[string]any)
	if data["effect"] != "deny" || data["status"] != 403.0 || data["code"] != "not_released" || data["available_from"] != 1900000100.0 || data["plan"] != nil {
		t.Errorf("explanation = %v, want a refusal", data)
	}
	if n := k.issuer.count(); n > 0 {
		t.Errorf("the issuer was asked for tokens %d times", n)
	}

	k.want(k.post("/v1/explain", `{"playback_id":"PID1"}`, basicAuth(acmeBackend, secret)), http.StatusForbidden, playback.CodeInsufficientPermissions)
	k.want(k.post("/v1/explain", `{"playback_id":"PID1"}`, bearer(acmeViewer)), http.StatusForbidden, playback.CodeInsufficientPermissions)
	k.want(k.post("/v1/explain", `{"playback_id":"PID1"}`, basicAuth(noRights, secret)), http.StatusOK, "") // system:read is all it has
	k.want(k.post("/v1/explain", `{"playback_id":"NONE"}`, operator), http.StatusNotFound, playback.CodeUnknownPlaybackID)
	k.want(k.post("/v1/explain", `{}`, operator), http.StatusBadRequest, playback.CodeInvalidField)
	k.want(k.post("/v1/explain", `{"playback_id":"PID1"`, operator), http.StatusBadRequest, playback.CodeInvalidJSON)
	k.want(k.get("/v1/explain", operator), http.StatusMethodNotAllowed, playback.CodeMethodNotAllowed)
}

func TestPoliciesOverHTTP(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	operator := basicAuth(acmeOperator, secret)
	for name, c := range map[string]struct {
		r      response
		status int
		code   playback.Code
		body   string
	}{
		"state":            {k.get("/v1/policy", operator), 200, "", `{"data":{"revision":"of-acme-prod","rules":3,"shadow":{"revision":"next"}}}`},
		"promotion":        {k.call("POST", "/v1/policy/promote", operator), 200, "", `{"data":{"revision":"next","rules":4,"shadow":null}}`},
		"what was meant":   {k.post("/v1/policy/promote", `{"revision":"next"}`, operator), 200, "", `{"data":{"revision":"next","rules":4,"shadow":null}}`},
		"another one":      {k.post("/v1/policy/promote", `{"revision":"old"}`, operator), 409, playback.CodePolicyConflict, ""},
		"an unknown field": {k.post("/v1/policy/promote", `{"revisoin":"next"}`, operator), 400, playback.CodeInvalidField, ""},
		"no permission":    {k.call("POST", "/v1/policy/promote", basicAuth(noRights, secret)), 403, playback.CodeInsufficientPermissions, ""},
		"a viewer":         {k.get("/v1/policy", bearer(acmeViewer)), 403, playback.CodeInsufficientPermissions, ""},
	} {
		k.want(c.r, c.status, c.code)
		if c.body != "" && c.r.body != c.body {
			t.Errorf("%s: %s, want %s", name, c.r.body, c.body)
		}
	}
}

func TestRefusalsSpeakTheViewersLanguage(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	refusal := *playback.Denied("not_released")
	refusal.Localized = []playback.Message{{Language: "de", Text: "Bald"}, {Language: "en", Text: "Soon"}, {Language: "pt-BR", Text: "Em breve"}}
	refusal.AvailableFrom = time.Unix(1_900_000_100, 0)
	k.issuer.answers(refusing(&refusal))
	for accept, want := range map[string]string{
		"":                             "Soon",
		"de":                           "Bald",
		"DE-ch-1996":                   "Bald",
		"fr, de;q=0.5, en;q=0.8":       "Soon",
		"pt-BR":                        "Em breve",
		"pt":                           "Soon",
		"*":                            "Soon",
		"en;q=0, de;q=0.1":             "Bald",
		"fr;q=x, de;q=2, pt-br; q=0.3": "Em breve",
		";;;,,,-,--":                   "Soon",
	} {
		r := k.post("/v1/tokens", `{"playback_id":"PID1"}`, bearer(acmeViewer), "Accept-Language: "+accept)
		k.want(r, http.StatusForbidden, "not_released")
		e, _ := r.decode(t)["error"].(map[string]any)
		if messages, _ := e["messages"].([]any); len(messages) != 1 || messages[0] != want || e["available_from"] != 1900000100.0 {
			t.Errorf("%q: %v, want %q", accept, e, want)
		}
	}
	r := k.post("/v1/tokens/batch", `{"requests":[{"playback_id":"PID1"}]}`, bearer(acmeViewer), "Accept-Language: de")
	k.want(r, http.StatusOK, "")
	item, _ := r.decode(t)["data"].([]any)[0].(map[string]any)["error"].(map[string]any)
	if messages, _ := item["messages"].([]any); len(messages) != 1 || messages[0] != "Bald" {
		t.Errorf("in a batch: %v, want Bald", item)
	}
}
