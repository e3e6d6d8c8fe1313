package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

var holder = playback.Viewer{Issuer: "main", ID: "u1", Authenticated: true}

func held(id string, kind playback.HeldType, until time.Duration, now time.Time) playback.Held {
	h := playback.Held{ID: id, Type: kind, Scope: playback.Scope{Kind: playback.ScopeAll}}
	if until > 0 {
		h.Until = now.Add(until)
	}
	return h
}

// TestRestsOn: what a decision needs, and which of several rights is used.
func TestRestsOn(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	short := held("short", playback.HeldSubscription, time.Hour, now)
	long := held("long", playback.HeldSubscription, 48*time.Hour, now)
	endless := held("endless", playback.HeldPurchase, 0, now)
	waiting := held("waiting", playback.HeldRental, 0, now)
	waiting.PlayWithin = 1000 * time.Hour
	begun := held("begun", playback.HeldRental, 0, now)
	begun.PlayWithin, begun.FirstPlay = 30*time.Hour, now.Add(-time.Hour)
	const anyOf, both = `size(viewer.grants) > 0`, `viewer.grants.exists(g, g.type == "subscription") && viewer.grants.exists(g, g.type == "rental")`
	for _, c := range []struct {
		name, when string
		grants     []playback.Held
		want       []string
	}{
		{"the only one", anyOf, []playback.Held{short}, []string{"short"}},
		{"the one that ends last", anyOf, []playback.Held{short, long}, []string{"long"}},
		{"one without end goes before all", anyOf, []playback.Held{long, endless, short}, []string{"endless"}},
		{"a rental that would begin comes last of all", anyOf, []playback.Held{waiting, short}, []string{"short"}},
		{"a rental that has begun ends when it ends", anyOf, []playback.Held{begun, short}, []string{"begun"}},
		{"a rental where nothing else suffices", `viewer.grants.exists(g, g.type == "rental")`, []playback.Held{waiting, long}, []string{"waiting"}},
		{"two that are needed together", both, []playback.Held{long, begun, endless, short}, []string{"long", "begun"}},
		{"exactly so many", `size(viewer.grants) == 2`, []playback.Held{long, short}, []string{"long", "short"}},
		{"none is needed", `viewer.authenticated || size(viewer.grants) > 0`, []playback.Held{long}, nil},
		{"nobody asks", `viewer.authenticated`, []playback.Held{long}, nil},
		{"through an optional", `viewer.?grants.orValue([]).exists(g, g.id == "short")`, []playback.Held{long, short}, []string{"short"}},
		{"through the viewer as a whole", `dyn(viewer).grants.exists(g, g.id == "short")`, []playback.Held{long, short}, []string{"short"}},
	} {
		p := mustCompile(t, when(c.when), policy.Options{})
		d := p.Decide(&playback.Question{Viewer: &holder, Now: now, Grants: c.grants})
		if d.Grant == nil {
			t.Errorf("%s: refused with %v", c.name, d.Refusal)
			continue
		}
		var got []string
		for _, h := range d.Held {
			got = append(got, h.ID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestADenyRuleThatReadsGrantsCounts: "deny without a grant, then allow" rests on
// the grant as much as the other way round.
func TestADenyRuleThatReadsGrantsCounts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	p := mustCompile(t, `
version: 1
rules:
  - {id: buy-it, effect: deny, when: viewer.grants.size() == 0, reason: not_purchased}
  - {id: everybody, effect: allow, when: 'true', grant: {custom: {n: viewer.grants.size()}}}
`, policy.Options{})
	q := playback.Question{Viewer: &holder, Now: now, Grants: []playback.Held{held("a", playback.HeldTicket, time.Hour, now), held("b", playback.HeldTicket, 2*time.Hour, now)}}
	d := p.Decide(&q)
	if d.Rule != "everybody" || len(d.Held) != 1 || d.Held[0].ID != "b" || d.Custom != `{"n":2}` {
		t.Errorf("Decide = %+v", d)
	}
	q.Grants = nil
	if d := p.Decide(&q); code(d) != "not_purchased" {
		t.Errorf("without grants: %+v", d)
	}
}

func TestWhatRulesWantToKnow(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string][2]bool{
		`viewer.authenticated`:                                  {false, false},
		`viewer.claims.?grants.orValue(0) == 1`:                 {false, false},
		`size(viewer.grants) > 0`:                               {true, false},
		`has(viewer.grants)`:                                    {true, false},
		`viewer.?grants.hasValue()`:                             {true, false},
		`[viewer].exists(v, v.grants.size() > 0)`:               {true, false},
		`request.country in ["DE"]`:                             {false, true},
		`request.?region.orValue("") == "BY"`:                   {false, true},
		`has(request.asn)`:                                      {false, true},
		`request.user_agent == ""`:                              {false, false},
		`dyn(request).country == "DE"`:                          {false, true},
		`asset.meta.?country.orValue("") == "DE"`:               {false, false},
		`viewer.grants.exists(g, g.country == request.country)`: {true, true},
	} {
		p := mustCompile(t, when(condition), policy.Options{})
		if got := [2]bool{p.ReadsGrants(), p.ReadsPlace()}; got != want {
			t.Errorf("%s: reads grants, place = %v, want %v", condition, got, want)
		}
	}
	for _, grant := range []string{`{custom: {x: viewer.grants.size()}}`, `{until: 'viewer.grants[0].until'}`} {
		if text := one(grant); grant[1] == 'u' {
			if _, err := policy.Compile([]byte(text), policy.Options{}); err == nil {
				t.Error("an until of type dyn compiles")
			}
		} else if p := mustCompile(t, text, policy.Options{}); !p.ReadsGrants() {
			t.Errorf("%s does not read grants", grant)
		}
	}
}

// TestGrantsInRules: the members that a rule sees, with their types.
func TestGrantsInRules(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	full := playback.Held{
		ID: "g1", Type: playback.HeldRental, Scope: playback.Scope{Kind: playback.ScopeAsset, Value: "A1"},
		From: now.Add(-time.Hour), Until: now.Add(time.Hour), PlayWithin: 48 * time.Hour, FirstPlay: now.Add(-time.Minute),
		Attributes: map[string]any{"seats": 2.0},
	}
	bare := held("g2", playback.HeldPurchase, 0, now)
	for _, condition := range []string{
		`viewer.grants[0].id == "g1" && viewer.grants[0].type == "rental" && viewer.grants[0].scope.asset_id == "A1"`,
		`viewer.grants[0].from < now && viewer.grants[0].until > now && viewer.grants[0].first_play + duration("1m") == now`,
		`viewer.grants[0].play_within == duration("48h") && viewer.grants[0].attributes.seats >= 2`,
		`viewer.grants[1].scope.all && !has(viewer.grants[1].until) && !has(viewer.grants[1].first_play) && !has(viewer.grants[1].play_within)`,
		`viewer.grants[1].?until.orValue(timestamp("2100-01-01T00:00:00Z")) > now && viewer.grants[1].attributes == {}`,
	} {
		d := mustCompile(t, when(condition), policy.Options{}).Decide(&playback.Question{Viewer: &holder, Now: now, Grants: []playback.Held{full, bare}})
		if d.Grant == nil {
			t.Errorf("%s: %v", condition, d.Refusal)
		}
	}
}

// TestUntilIsAnEnd: a rule does not match after it, and says when it comes.
func TestUntilIsAnEnd(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
version: 1
rules:
  - {id: window, effect: allow, when: 'true', grant: {ttl: 1h, until: 'timestamp("2027-01-01T00:00:00.5Z")'}}
  - {id: later, effect: allow, when: viewer.authenticated}
`, policy.Options{})
	end := time.Date(2027, 1, 1, 0, 0, 0, 500_000_000, time.UTC)
	for _, c := range []struct {
		now   time.Time
		rule  string
		until time.Time
	}{
		{end.Add(-time.Minute), "window", end},
		{end.Add(-500 * time.Millisecond), "later", time.Time{}}, // the second that it ends in has begun
		{end.Add(time.Hour), "later", time.Time{}},
	} {
		d := p.Decide(&playback.Question{Viewer: &holder, Now: c.now})
		if d.Rule != c.rule || !d.Until.Equal(c.until) {
			t.Errorf("at %s: rule %s until %s, want %s until %s", c.now, d.Rule, d.Until, c.rule, c.until)
		}
	}
	if _, err := policy.Compile([]byte(one(`{until: '"2027-01-01"'}`)), policy.Options{}); err == nil {
		t.Error("an until that is a text compiles")
	}
}

// TestQuestionsWithoutGrantsStayAsTheyWere: nobody's Memo learns of grants.
func TestQuestionsWithoutGrantsStayAsTheyWere(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	viewer := holder
	viewer.Memo = new(playback.Memo)
	p := mustCompile(t, when(`size(viewer.grants) > 0`), policy.Options{})
	for range 3 {
		with := p.Decide(&playback.Question{Viewer: &viewer, Now: now, Grants: []playback.Held{held("g", playback.HeldTicket, 0, now)}})
		without := p.Decide(&playback.Question{Viewer: &viewer, Now: now})
		if with.Grant == nil || without.Grant != nil {
			t.Fatalf("with a grant %v, without %v", with.Refusal, without.Grant)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	object := &playback.Object{
		ID: "P1", Asset: &playback.Asset{ID: "A1", LiveStreamID: "L9", Meta: map[string]any{"tags": []any{"sport", 7.0}}},
		LiveStream: &playback.LiveStream{ID: "L1"},
	}
	for _, c := range []struct {
		kind  playback.ScopeKind
		yes   []string
		never []string
	}{
		{playback.ScopeAll, []string{""}, nil},
		{playback.ScopePlaybackID, []string{"P1"}, []string{"", "P2", "A1"}},
		{playback.ScopeAsset, []string{"A1"}, []string{"", "P1"}},
		{playback.ScopeLiveStream, []string{"L1", "L9"}, []string{"", "A1"}},
		{playback.ScopeTag, []string{"sport"}, []string{"", "7", "spor"}},
		{"playlist", nil, []string{"", "P1"}},
	} {
		for _, value := range slices.Concat(c.yes, c.never) {
			scope := playback.Scope{Kind: c.kind, Value: value}
			if got := scope.Covers(object); got != slices.Contains(c.yes, value) {
				t.Errorf("%+v.Covers = %v", scope, got)
			}
			if scope.Covers(&playback.Object{}) != (c.kind == playback.ScopeAll) || scope.Covers(nil) != (c.kind == playback.ScopeAll) {
				t.Errorf("%+v covers what nothing is known of", scope)
			}
		}
	}
	text := playback.Object{Asset: &playback.Asset{Meta: map[string]any{"tags": "news, sport"}}}
	if !(playback.Scope{Kind: playback.ScopeTag, Value: "sport"}).Covers(&text) {
		t.Error("tags in one text are not found")
	}
}

// TestGrantsBesideVerdicts: what is remembered of a verified identity must not
// hide what the viewer holds now, in an allow rule or in a deny rule.
func TestGrantsBesideVerdicts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	p := mustCompile(t, `
version: 1
rules:
  - {id: banned, effect: deny, when: viewer.id == "u9"}
  - {id: suspended, effect: deny, when: 'viewer.grants.exists(g, g.type == "ticket")', reason: suspended}
  - {id: premium, effect: allow, when: 'viewer.claims.?plan.orValue("") == "premium"'}
  - {id: held, effect: allow, when: viewer.grants.size() > 0}
`, policy.Options{})
	viewer := playback.Viewer{Issuer: "main", ID: "u1", Authenticated: true, Memo: new(playback.Memo)}
	premium := viewer
	premium.Claims, premium.Memo = map[string]any{"plan": "premium"}, new(playback.Memo)
	pass := []playback.Held{held("pass", playback.HeldSubscription, 0, now)}
	ticket := []playback.Held{held("ticket", playback.HeldTicket, 0, now)}
	for round := range 3 {
		for _, c := range []struct {
			viewer *playback.Viewer
			grants []playback.Held
			rule   string
			rests  int
		}{
			{&viewer, nil, "", 0},
			{&viewer, pass, "held", 1},
			{&viewer, ticket, "suspended", 0},
			{&premium, nil, "premium", 0},
			{&premium, pass, "premium", 0},
			{&premium, ticket, "suspended", 0},
		} {
			d := p.Decide(&playback.Question{Viewer: c.viewer, Now: now, Grants: c.grants})
			if d.Rule != c.rule || len(d.Held) != c.rests {
				t.Errorf("round %d, %v with %v: rule %q, rests on %v; want %q, %d", round, c.viewer.Claims, c.grants, d.Rule, d.Held, c.rule, c.rests)
			}
		}
	}
}
