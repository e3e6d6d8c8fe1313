package policy_test

import (
	"errors"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// files compiles main.yaml of a folder that is a map.
func files(all map[string]string) ([]byte, policy.Options) {
	return []byte(all["main.yaml"]), policy.Options{File: "main.yaml", ReadFile: func(path string) ([]byte, error) {
		if text, ok := all[path]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}}
}

// documented is a folder in which every file that the documentation includes
// is there and says nothing.
func documented() policy.Options {
	return policy.Options{ReadFile: func(string) ([]byte, error) { return []byte(policy.NoRules), nil }}
}

func shared() map[string]string {
	return map[string]string{
		"main.yaml": `
version: 1
include: [lib/base.yaml, lib/plans.yaml]
conditions:
  licensed: request.country in ["DE", "AT"]
rules:
  - {id: premium, effect: allow, when: condition.premium && condition.licensed}
  - {id: anyone, effect: allow, when: "true"}
tests:
  - {name: premium at home, given: {viewer: {claims: {plan: premium}}, request: {country: AT}}, expect: {rule: premium}}
  - {name: an or in a name stays together, given: {request: {country: AT}}, expect: {rule: anyone}}
`,
		"lib/base.yaml": `
version: 1
include: [plans.yaml]
rules:
  - {id: staff, effect: allow, when: condition.staff}
  - {id: banned, effect: deny, when: 'viewer.id == "u13"', reason: banned}
tests:
  - {name: staff first, given: {viewer: {claims: {plan: premium, role: staff}}, request: {country: AT}}, expect: {rule: staff}}
`,
		"lib/plans.yaml": `
version: 1
conditions:
  plan_is_known: has(viewer.claims.plan) // not for guests
  premium: condition.plan_is_known && viewer.claims.plan == "premium" || condition . gold
  gold: viewer.claims.?plan.orValue("") == "gold"
  staff: viewer.claims.?role.orValue("") == "staff"
`,
	}
}

func TestIncludedFilesAreOneDocument(t *testing.T) {
	t.Parallel()
	text, o := files(shared())
	report, err := policy.Test(text, o)
	if err != nil {
		t.Fatalf("Test: %v", err)
	}
	var order []string
	for _, c := range report.Rules {
		order = append(order, c.Rule)
	}
	if diff := cmp.Diff([]string{"staff", "banned", "premium", "anyone"}, order); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if len(report.Tests) != 3 || report.Failures() > 0 {
		var out strings.Builder
		_ = report.Print(&out, "main.yaml")
		t.Error(out.String())
	}
}

func TestRevisionIsTheContentOfAllFiles(t *testing.T) {
	t.Parallel()
	revision := func(all map[string]string) string {
		text, o := files(all)
		p, err := policy.Compile(text, o)
		if err != nil {
			t.Fatal(err)
		}
		return p.Revision()
	}
	base := revision(shared())
	if len(base) != 12 || base != revision(shared()) {
		t.Fatalf("Revision = %q, then %q, want 12 digits, the same", base, revision(shared()))
	}
	for name := range shared() {
		changed := maps.Clone(shared())
		changed[name] += "# another byte\n"
		if revision(changed) == base {
			t.Errorf("a change in %s leaves the revision", name)
		}
	}
}

func TestWhatIsWrongWithSeveralFiles(t *testing.T) {
	t.Parallel()
	const rule = "rules: [{id: a, effect: allow, when: condition.a}]\n"
	for name, c := range map[string]struct {
		all  map[string]string
		want string
	}{
		"a file that is not there": {
			map[string]string{"main.yaml": "version: 1\ninclude: [nowhere.yaml]\n"},
			"include[0]: cannot be read: open nowhere.yaml: file does not exist (line 2, column 11)",
		},
		"a circle of files": {
			map[string]string{"main.yaml": "version: 1\ninclude: [b.yaml]\n", "b.yaml": "version: 1\ninclude: [main.yaml]\n"},
			"include[0]: main.yaml → b.yaml → main.yaml includes itself (b.yaml, line 2, column 11)",
		},
		"a mistake in an included file": {
			map[string]string{
				"main.yaml": "version: 1\ninclude: [b.yaml]\n",
				"b.yaml":    "version: 1\nrules:\n  - {id: a, effect: allow, when: request.contry == \"DE\"}\n",
			},
			"rules[0].when: request has no field contry; did you mean country? (b.yaml, line 3, column 41)",
		},
		"one ID in two files": {
			map[string]string{
				"main.yaml": "version: 1\ninclude: [b.yaml]\nrules: [{id: a, effect: allow, when: true}]\n",
				"b.yaml":    "version: 1\nrules: [{id: a, effect: deny, when: true}]\n",
			},
			"rules[0].id: b.yaml: rules[0] has the ID \"a\" too (line 3, column 9)",
		},
		"one condition in two files": {
			map[string]string{
				"main.yaml": "version: 1\ninclude: [b.yaml]\nconditions: {a: true}\n",
				"b.yaml":    "version: 1\nconditions: {a: false}\n",
			},
			"conditions.a: b.yaml: conditions.a has the name too (line 3, column 17)",
		},
		"a circle of conditions": {
			map[string]string{"main.yaml": "version: 1\nconditions: {a: condition.b, b: '!condition.a'}\n" + rule},
			"conditions.a: goes in a circle: a → b → a (line 2, column 17)",
		},
		"a condition that nobody knows": {
			map[string]string{"main.yaml": "version: 1\nconditions: {premium: true}\nrules: [{id: a, effect: allow, when: condition.premum}]\n"},
			"rules[0].when: there is no condition premum; did you mean premium? (line 3, column 47)",
		},
		"a condition without its prefix": {
			map[string]string{"main.yaml": "version: 1\nconditions: {premium: true}\nrules: [{id: a, effect: allow, when: premium}]\n"},
			"rules[0].when: there is no variable premium; did you mean condition.premium? (line 3, column 38)",
		},
		"a condition that is no condition": {
			map[string]string{"main.yaml": "version: 1\nconditions: {a: viewer.id}\n"},
			"conditions.a: is a string and no condition: compare it with something (line 2, column 17)",
		},
		"a mistake in a condition is reported once": {
			map[string]string{"main.yaml": "version: 1\nconditions: {a: viewer.idd == \"\"}\n" + rule},
			"conditions.a: viewer has no field idd; did you mean id? (line 2, column 23)",
		},
		"all conditions as a value": {
			map[string]string{"main.yaml": "version: 1\nconditions: {a: true}\nrules: [{id: a, effect: allow, when: has(condition.a)}]\n"},
			"rules[0].when: with condition.NAME in its place: has() takes a member: has(viewer.claims.plan); where its name is no identifier, write \"a name\" in viewer.claims (line 3, column 38)",
		},
		"a loop that would give a condition another viewer": {
			map[string]string{"main.yaml": "version: 1\nconditions: {a: viewer.authenticated}\nrules: [{id: a, effect: allow, when: '[{\"authenticated\": true}].exists(viewer, condition.a)'}]\n"},
			"rules[0].when: a loop's variable is called viewer: with named conditions in the expression, call it something else (line 3, column 38)",
		},
		"a message for a code that no rule gives": {
			map[string]string{"main.yaml": "version: 1\nrules: [{id: a, effect: deny, when: true, reason: not_released}]\nmessages: {not_relased: {en: Later}}\n"},
			"messages.not_relased.en: no rule refuses with the code \"not_relased\"; did you mean not_released? (line 3, column 30)",
		},
		"a message in no language": {
			map[string]string{"main.yaml": "version: 1\nmessages: {no_matching_rule: {english_uk: No}}\n"},
			"messages.no_matching_rule.english_uk: \"english_uk\" is not a language: want a tag such as en or pt-BR (line 2, column 43)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, o := files(c.all)
			_, err := policy.Compile(text, o)
			var problems policy.Problems
			if !errors.As(err, &problems) || problems.Error() != c.want {
				t.Errorf("Compile = %v, want %s", err, c.want)
			}
		})
	}
}

func TestADocumentWithoutFilesNamesNone(t *testing.T) {
	t.Parallel()
	_, err := policy.Compile([]byte("version: 1\ninclude: [a.yaml]\n"), policy.Options{})
	if err == nil || !strings.Contains(err.Error(), "without files around it") {
		t.Errorf("Compile = %v, want a refusal", err)
	}
}

func TestUnusedConditionsAreWarnedOf(t *testing.T) {
	t.Parallel()
	got, err := policy.Check([]byte(`
version: 1
conditions: {used: condition.deep, deep: "true", idle: "true"}
rules: [{id: a, effect: allow, when: condition.used}]
`), policy.Options{}, nil)
	if err != nil || !cmp.Equal(got, []string{"conditions.idle: is used by no rule"}) {
		t.Errorf("Check = %q, %v, want a warning of idle", got, err)
	}
}

func TestRefusalsCarryTheOperatorsWords(t *testing.T) {
	t.Parallel()
	all := map[string]string{
		"main.yaml": "version: 1\ninclude: [b.yaml]\nrules: [{id: a, effect: deny, when: true, reason: later}]\nmessages: {later: {de: Bald}}\n",
		"b.yaml":    "version: 1\nmessages: {later: {de: Später, en: Later}}\n",
	}
	text, o := files(all)
	p, err := policy.Compile(text, o)
	if err != nil {
		t.Fatal(err)
	}
	d := p.Decide(&playback.Question{})
	want := []playback.Message{{Language: "de", Text: "Bald"}, {Language: "en", Text: "Later"}}
	if diff := cmp.Diff(want, d.Refusal.Localized); diff != "" {
		t.Errorf("Localized (-want +got):\n%s", diff)
	}
}
