package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

var errDown = errors.New("the store is down")

// unreadable is a store that does not answer.
type unreadable struct{}

func (unreadable) ReadEntitlements(bool) ([]playback.Held, error) { return nil, errDown }

// counting is a store that answers, and counts who depends on it and who does
// not.
type counting struct {
	held           []playback.Held
	err            error
	needed, others int
}

func (c *counting) ReadEntitlements(needed bool) ([]playback.Held, error) {
	if needed {
		c.needed++
	} else {
		c.others++
	}
	return c.held, c.err
}

// TestGrantsAreReadWhenARuleComesToThem, and for nobody else.
func TestGrantsAreReadWhenARuleComesToThem(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	rules := func(list ...string) string { return "version: 1\nrules:\n  - " + strings.Join(list, "\n  - ") + "\n" }
	rule := func(id, effect, when string) string {
		return fmt.Sprintf("{id: %s, effect: %s, when: '%s'}", id, effect, when)
	}
	premium := playback.Viewer{ID: "u1", Authenticated: true, Claims: map[string]any{"plan": "premium"}, Memo: new(playback.Memo)}
	other := playback.Viewer{ID: "u2", Authenticated: true, Claims: map[string]any{"plan": "basic"}, Memo: new(playback.Memo)}
	byPlan := rule("plan", "allow", `viewer.claims.plan == "premium"`)
	byGrant := rule("bought", "allow", `viewer.grants.exists(g, g.type == "purchase")`)
	for name, c := range map[string]struct {
		document string
		viewer   *playback.Viewer
		reads    bool
		rule     string // with the store down; "" undecided
		code     playback.Code
	}{
		"a rule before it allows":                         {rules(byPlan, byGrant), &premium, false, "plan", ""},
		"no rule before it allows":                        {rules(byPlan, byGrant), &other, true, "", ""},
		"it comes first":                                  {rules(byGrant, byPlan), &premium, true, "", ""},
		"a deny rule before it denies":                    {rules(rule("ban", "deny", `viewer.id == "u1"`), byGrant), &premium, false, "ban", "policy_denied"},
		"a deny rule needs them, and it stands last":      {rules(byPlan, rule("lapsed", "deny", `size(viewer.grants) == 0`)), &premium, true, "", ""},
		"the left side of an or":                          {rules(rule("r", "allow", `viewer.claims.plan == "premium" || size(viewer.grants) > 0`)), &premium, false, "r", ""},
		"the right side of an or decides":                 {rules(rule("r", "allow", `size(viewer.grants) > 0 || viewer.claims.plan == "premium"`)), &premium, true, "r", ""},
		"neither side of an or decides":                   {rules(rule("r", "allow", `size(viewer.grants) > 0 || viewer.claims.plan == "premium"`)), &other, true, "", ""},
		"the left side of an and":                         {rules(rule("r", "deny", `viewer.claims.plan == "basic" && size(viewer.grants) == 0`), byPlan), &premium, false, "plan", ""},
		"the right side of an and decides":                {rules(rule("r", "deny", `size(viewer.grants) == 0 && viewer.claims.plan == "basic"`), byPlan), &premium, true, "plan", ""},
		"the branch of a condition":                       {rules(rule("r", "allow", `viewer.claims.plan == "premium" ? true : size(viewer.grants) > 0`)), &premium, false, "r", ""},
		"another part of the expression fails":            {rules(rule("r", "allow", `size(viewer.grants) > 0 || viewer.claims.none == 1`), byPlan), &premium, true, "", ""},
		"has() has no error, but does not know":           {rules(rule("r", "deny", `has(viewer.grants)`), byPlan), &premium, true, "", ""},
		"has() behind dyn()":                              {rules(rule("r", "deny", `has(dyn(viewer).grants)`), byPlan), &premium, true, "", ""},
		"an optional does not know":                       {rules(rule("r", "allow", `viewer.?grants.orValue([]).size() == 0`)), &premium, true, "", ""},
		"the viewer as a whole, of which a claim is read": {rules(rule("r", "allow", `dyn(viewer).claims.plan == "premium"`)), &premium, false, "r", ""},
		"a custom claim of the rule that allows": {
			"version: 1\nrules: [{id: r, effect: allow, when: true, grant: {custom: {n: size(viewer.grants)}}}]", &premium, true, "", "",
		},
		"the end of the rule that allows": {
			`{version: 1, rules: [{id: r, effect: allow, when: true, grant: {until: 'timestamp(viewer.grants[0].until)'}}]}`, &premium, true, "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := mustCompile(t, c.document, policy.Options{})
			up := &counting{}
			p.Decide(&playback.Question{Viewer: c.viewer, Now: now, Entitlements: up})
			if (up.needed > 0) != c.reads || up.others > 0 {
				t.Errorf("read %d times, %d not needed; want that it is read: %v", up.needed, up.others, c.reads)
			}
			d := p.Decide(&playback.Question{Viewer: c.viewer, Now: now, Entitlements: unreadable{}})
			switch {
			case c.rule == "" && (!errors.Is(d.Undecided, errDown) || d.Grant != nil || code(d) != playback.CodeDependencyUnavailable):
				t.Errorf("with the store down: %+v, want it undecided", d)
			case c.rule != "" && (d.Undecided != nil || d.Rule != c.rule || (d.Grant == nil) != (c.code != "")):
				t.Errorf("with the store down: %+v, want rule %s", d, c.rule)
			}
		})
	}
}

// TestAnUndecidedRuleIsNoFailure: it is not counted among those that fail.
func TestAnUndecidedRuleIsNoFailure(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, when(`size(viewer.grants) > 0`), policy.Options{})
	d := p.Decide(&playback.Question{Viewer: &holder, Entitlements: unreadable{}})
	if !errors.Is(d.Undecided, errDown) || d.Rule != "r" {
		t.Errorf("Decide = %+v", d)
	}
	if again := p.Decide(&playback.Question{Viewer: &holder, Grants: []playback.Held{{ID: "g"}}}); again.Grant == nil {
		t.Errorf("then: %+v", again)
	}
}

// TestADateIsPromisedOnlyForWhatIsKnown: an embargo's end, for a viewer whose
// grants cannot be read.
func TestADateIsPromisedOnlyForWhatIsKnown(t *testing.T) {
	t.Parallel()
	now, released := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	p := mustCompile(t, `
version: 1
rules:
  - {id: embargo, effect: deny, when: 'now < timestamp("2027-01-01T00:00:00Z")'}
  - {id: bought, effect: allow, when: size(viewer.grants) > 0}
  - {id: pictures, effect: allow, when: 'true'}
`, policy.Options{})
	for name, c := range map[string]struct {
		reader *counting
		want   time.Time
	}{
		"who holds one":          {&counting{held: []playback.Held{{ID: "g"}}}, released},
		"who holds one till May": {&counting{held: []playback.Held{{ID: "g", Until: now.Add(24 * time.Hour)}}}, released}, // by the third rule
		"with the store down":    {&counting{err: errDown}, time.Time{}},
	} {
		q := playback.Question{Viewer: &holder, Now: now, Entitlements: c.reader}
		d := p.Decide(&q)
		if d.Rule != "embargo" || c.reader.needed+c.reader.others > 0 {
			t.Errorf("%s: %+v, read %d times", name, d, c.reader.needed+c.reader.others)
		}
		if refusal := p.Dated(&q, &d); !refusal.AvailableFrom.Equal(c.want) || c.reader.needed > 0 || c.reader.others == 0 {
			t.Errorf("%s: available from %s, want %s; %d reads that were needed", name, refusal.AvailableFrom, c.want, c.reader.needed)
		}
	}
}

// entitled are conditions that may read viewer.grants, and some that do not.
func entitled() []string {
	return []string{
		`true`, `false`, `viewer.id == "u1"`, `viewer.claims.none == 1`, `size(viewer.grants) > 0`, `size(viewer.grants) == 0`, `has(viewer.grants)`, `!has(viewer.grants)`,
		`viewer.grants.exists(g, g.type == "rental")`, `viewer.grants.all(g, g.type == "rental")`, `viewer.grants[0].type == "rental"`,
		`viewer.?grants.orValue([]).size() == 1`, `viewer.?grants[?0].hasValue()`, `dyn(viewer).grants.size() == 2`, `has(dyn(viewer).grants)`,
		`size(viewer.grants) > 0 || viewer.id == "u1"`, `size(viewer.grants) > 0 && viewer.id == "u2"`, `viewer.claims.none == 1 || size(viewer.grants) > 0`,
		`viewer.id == "u2" ? has(viewer.grants) : true`, `[viewer.grants, []].exists(l, l.size() == 0)`, `{"a": viewer.grants}["a"].size() == 1`,
		`viewer.grants == []`, `viewer.grants.map(g, g.id).exists(i, i == "b")`, `viewer.grants.filter(g, g.type == "purchase") != viewer.grants`,
		`viewer == viewer`, `dyn(viewer.grants) in [[], 1]`, `type(viewer.grants) == list`, `viewer.grants.exists(g, has(g.until) && g.until > now)`,
	}
}

// TestReadingLateChangesNothing: on random documents, a viewer whose grants are
// read when a rule comes to them gets what one gets whose grants are there; and
// what is decided while they cannot be read is decided so whatever they are.
func TestReadingLateChangesNothing(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	rental, purchase := held("a", playback.HeldRental, time.Hour, now), held("b", playback.HeldPurchase, 0, now)
	sets := [][]playback.Held{nil, {rental}, {purchase}, {rental, purchase}}
	pool := entitled()
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		text.WriteString("version: 1\nrules:\n")
		for i := range rapid.IntRange(1, 5).Draw(t, "rules") {
			effect := rapid.SampledFrom([]string{"deny", "allow", "allow"}).Draw(t, "effect")
			fmt.Fprintf(&text, "  - {id: r%d, effect: %s, when: '%s'", i, effect, rapid.SampledFrom(pool).Draw(t, "when"))
			if effect == "allow" && rapid.IntRange(0, 3).Draw(t, "more") == 0 {
				text.WriteString(`, grant: {custom: {n: 'viewer.id == "u1" ? 1 : size(viewer.grants)', h: has(viewer.grants)}}`)
			}
			text.WriteString("}\n")
		}
		p, err := policy.Compile([]byte(text.String()), policy.Options{})
		if err != nil {
			t.Fatalf("Compile: %v\n%s", err, text.String())
		}
		for _, memo := range []*playback.Memo{nil, new(playback.Memo)} {
			viewer := &playback.Viewer{Issuer: "main", ID: "u1", Authenticated: true, Claims: map[string]any{"plan": "x"}, Memo: memo}
			down := p.Decide(&playback.Question{Viewer: viewer, Now: now, Entitlements: unreadable{}})
			for _, set := range sets {
				early := p.Decide(&playback.Question{Viewer: viewer, Now: now, Grants: set})
				reader := &counting{held: set}
				late := p.Decide(&playback.Question{Viewer: viewer, Now: now, Entitlements: reader})
				if diff := cmp.Diff(outcome(early), outcome(late)); diff != "" {
					t.Fatalf("%d grants, read late: %s\n%s", len(set), diff, text.String())
				}
				if down.Undecided == nil && outcome(down) != outcome(early) {
					t.Fatalf("%d grants: %s, and with the store down %s\n%s", len(set), outcome(early), outcome(down), text.String())
				}
				if down.Undecided != nil && reader.needed == 0 {
					t.Fatalf("%d grants: undecided with the store down, and not read with it up\n%s", len(set), text.String())
				}
			}
		}
	})
}

// outcome is what a decision says.
func outcome(d playback.Decision) string {
	text := fmt.Sprint(d.Rule, " ", code(d), " ", d.Custom, " ", d.Undecided)
	for _, h := range d.Held {
		text += " " + h.ID
	}
	return text
}
