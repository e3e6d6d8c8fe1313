package policy_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/policy"
)

// TestMisspeltMembersOfGrantsAreFoundWhenTheRulesAreLoaded: with their place and
// what was meant, and not by the first viewer who is refused for it.
func TestMisspeltMembersOfGrantsAreFoundWhenTheRulesAreLoaded(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		`viewer.grants.exists(g, g.untl > now)`:                                     `rules[0].when: undefined member 'untl' of a grant; did you mean until? (line 3, column 64)`,
		`viewer.grants.exists(g, g.?untl.orValue(now) > now)`:                       `'untl' of a grant; did you mean until? (line 3, column`,
		`viewer.grants.exists(g, has(g.untl) && g.until > now)`:                     `'untl' of a grant; did you mean until? (line 3, column`,
		`viewer.grants.exists(g, "untl" in g)`:                                      `'untl' of a grant; did you mean until?`,
		`viewer.grants.exists(g, g["tpye"] == "rental")`:                            `'tpye' of a grant; did you mean type?`,
		`viewer.grants.exists(g, g.scope.asset == asset.id)`:                        `'asset' of a grant's scope; did you mean asset_id?`,
		`viewer.grants.exists(g, g.?scope.?tags.orValue("") == "x")`:                `'tags' of a grant's scope; did you mean tag?`,
		`viewer.grants[0].typ == "rental"`:                                          `'typ' of a grant; did you mean type?`,
		`viewer.?grants.orValue([]).exists(g, g.Id == "x")`:                         `'Id' of a grant; did you mean id?`,
		`dyn(viewer).grants.exists(g, g.frm < now)`:                                 `'frm' of a grant; did you mean from?`,
		`viewer.grants.filter(g, g.type == "rental").exists(g, g.playwithin != "")`: `'playwithin' of a grant; did you mean play_within?`,
		`viewer.grants.map(g, g.attribute.price).size() > 0`:                        `'attribute' of a grant; did you mean attributes?`,
		`request.params.widht > 10.0`:                                               `'widht' of request.params; did you mean width?`,
		`condition.rented`:                                                          `conditions.rented: undefined member 'first_paly' of a grant; did you mean first_play? (line 2, column 50)`,
		`viewer.grants.exists(g, g.id == "x" && viewer.claims.?untl.orValue("") == "" && asset.meta.typ == "" && g.attributes.untl == "")`: "",
		`viewer.claims.rights.exists(g, g.untl > 1)`:                                  "",
		`viewer.grants.exists(g, viewer.claims.rights.exists(g, g.untl > 1))`:         "",
		`viewer.grants.map(g, g.attributes).exists(a, a.untl == "")`:                  "",
		`viewer.grants.exists(g, g.product == "film-1")`:                              "",
		`viewer.grants.exists(request, request.type == "rental") && viewer.id == "a"`: "",
	} {
		named := "conditions: {}"
		if strings.HasPrefix(condition, "condition.") {
			named = "conditions: {rented: 'viewer.grants.exists(g, has(g.first_paly))'}"
		}
		document := "version: 1\n" + named + "\nrules: [{id: a, effect: allow, when: '" + condition + "'}]\n"
		_, err := policy.Compile([]byte(document), policy.Options{})
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v, want %q", condition, err, want)
		}
	}
	custom := "version: 1\nrules:\n  - {id: a, effect: allow, when: true, grant: {until: 'viewer.grants[0].untl', custom: {n: 'viewer.grants.map(g, g.ids)'}}}\n"
	_, err := policy.Compile([]byte(custom), policy.Options{})
	if err == nil || !strings.Contains(err.Error(), "rules[0].grant.until: undefined member 'untl'") || !strings.Contains(err.Error(), "rules[0].grant.custom.n: undefined member 'ids'") {
		t.Errorf("until and custom claims: %v", err)
	}
}
