package policy_test

import (
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

func member() *playback.Viewer {
	return &playback.Viewer{
		Issuer: "main", ID: "u1", Authenticated: true, Memo: new(playback.Memo),
		Claims: map[string]any{"plan": "premium", "roles": []any{"a"}, "until": 1_780_000_000.0},
	}
}

func allows(p *policy.Policy, q *playback.Question) bool { return p.Decide(q).Grant != nil }

// TestVerdictEndsWithTheDocument: what one document's conditions said of a
// viewer is nothing to another's, whichever is asked in between.
func TestVerdictEndsWithTheDocument(t *testing.T) {
	t.Parallel()
	viewer := member()
	before := mustCompile(t, when(`viewer.claims.plan == "premium"`), policy.Options{})
	after := mustCompile(t, when(`viewer.claims.plan == "platinum"`), policy.Options{})
	for range 3 {
		if !allows(before, &playback.Question{Viewer: viewer}) {
			t.Error("the old document refuses")
		}
		if allows(after, &playback.Question{Viewer: viewer}) {
			t.Error("the new document allows")
		}
	}
}

// TestVerdictEndsWithTheIdentity: the same viewer with another token, which has
// other claims, is judged by those.
func TestVerdictEndsWithTheIdentity(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, when(`viewer.claims.plan == "premium"`), policy.Options{})
	if !allows(p, &playback.Question{Viewer: member()}) {
		t.Error("the premium viewer is refused")
	}
	downgraded := member()
	downgraded.Claims = map[string]any{"plan": "free"}
	if allows(p, &playback.Question{Viewer: downgraded}) {
		t.Error("the viewer keeps what the last token allowed")
	}
	if allows(p, &playback.Question{Viewer: &playback.Viewer{Memo: new(playback.Memo)}}) || allows(p, &playback.Question{}) {
		t.Error("nobody is premium")
	}
}

// TestWhatMayChangeIsAskedEveryTime: each of these conditions holds for the
// first question and not for the second, though both have one viewer.
func TestWhatMayChangeIsAskedEveryTime(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_779_000_000, 0)
	for _, condition := range []string{
		`now < timestamp("2026-05-20T00:00:00Z")`,
		`viewer.authenticated && now < timestamp(int(viewer.claims.until))`,
		`request.country == "DE" && viewer.id == "u1"`,
		`viewer.claims.roles.exists(r, r == "a" && request.type == "video")`,
		`playback.id == "PID1"`,
		`asset.passthrough == "film-1" || viewer.id == "u2"`,
		`dyn(request).country == "DE"`,
		`[now].exists(viewer, viewer < timestamp("2026-05-20T00:00:00Z"))`,
		`[viewer.id].exists(now, now == "u1" && request.country == "DE")`,
		`{"c": request.country}.c == "DE"`,
		`[request.country][0] == "DE"`,
		`request.?country.orValue("") == "DE"`,
		`has(asset.passthrough)`,
		`live_stream.status == ""&& playback.known`,
	} {
		p := mustCompile(t, when(condition), policy.Options{})
		viewer := member()
		first := &playback.Question{
			Viewer: viewer, Now: at, Type: playback.Video, Client: &playback.Client{Country: "DE"},
			Object: &playback.Object{ID: "PID1", Known: true, Asset: &playback.Asset{Passthrough: "film-1"}},
		}
		second := &playback.Question{
			Viewer: viewer, Now: at.AddDate(10, 0, 0), Type: playback.GIF, Client: &playback.Client{Country: "FR"},
			Object: &playback.Object{ID: "PID2", Asset: &playback.Asset{}},
		}
		for range 2 {
			if !allows(p, first) {
				t.Errorf("%s: the first question is refused", condition)
			}
			if d := p.Decide(second); d.Rule != "" {
				t.Errorf("%s: rule %q matched the second question", condition, d.Rule)
			}
		}
	}
}

// TestVerdictsAgreeWithEvaluation: conditions on the viewer alone give for a
// viewer who is remembered what they give for one who is not.
func TestVerdictsAgreeWithEvaluation(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]bool{
		`viewer.authenticated`:                                     true,
		`viewer.?id.orValue("") == "u1"`:                           true,
		`has(viewer.claims.plan) && !has(viewer.claims.nothing)`:   true,
		`viewer.claims[?"plan"].orValue("") == "premium"`:          true,
		`viewer.claims.roles.exists(r, r == "a")`:                  true,
		`viewer.claims.roles.map(r, r + viewer.id) == ["au1"]`:     true,
		`viewer.claims.?plan.optMap(p, p == "free").orValue(true)`: false,
		`viewer.issuer != "main"`:                                  false,
		`viewer.claims.nothing == 1`:                               false, // an error, each time
		`viewer.grants.size() > 0`:                                 false,
		`dyn(viewer).id == "u1"`:                                   true,
		`viewer == viewer`:                                         true,
		`type(viewer.id) == string`:                                true,
		`true`:                                                     true,
	} {
		p := mustCompile(t, when(condition), policy.Options{})
		known, unknown := member(), member()
		unknown.Memo = nil
		for range 2 {
			for _, v := range []*playback.Viewer{known, unknown} {
				if got := allows(p, &playback.Question{Viewer: v}); got != want {
					t.Errorf("%s (memo: %t) = %t, want %t", condition, v.Memo != nil, got, want)
				}
			}
		}
	}
}
