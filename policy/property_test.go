package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// truth is what a condition is for the question of TestDecideIsItsDefinition.
type truth int

const (
	no truth = iota
	yes
	broken
)

// conditions are some of each.
func conditions() map[truth][]string {
	return map[truth][]string{
		no: {
			`false`, `viewer.id == "u2"`, `request.country != "DE"`, `"x" in viewer.claims.roles`, `viewer.claims.none == 1 && false`,
			`now < timestamp("2025-01-01T00:00:00Z")`, `has(asset.id)`,
		},
		yes: {
			`true`, `viewer.id == "u1"`, `request.country in ["DE"]`, `viewer.claims.roles.exists(r, r == "a")`, `viewer.claims.none == 1 || true`,
			`viewer.claims.?none.orValue(1) == 1`, `playback.id == "PID1" && !playback.known`,
		},
		broken: {
			`viewer.claims.none == 1`, `viewer.claims.plan > 3`, `1 / int(viewer.claims.zero) == 1`, `ip(request.ip).family() == 4`,
			`viewer.claims.roles[5] == "a"`, `viewer.claims.none.exists(r, r == 1)`, `timestamp(viewer.id) < now`,
		},
	}
}

type drawnRule struct {
	deny bool
	is   truth
	when string
}

// TestDecideIsItsDefinition compares Decide with the sentence of the contract
// on random documents: in particular, it never allows when any deny rule
// matches or cannot be evaluated, in whatever order the rules stand. All
// documents ask about one viewer, with a memo and without: what one of them has
// found out about it is nothing to the next.
func TestDecideIsItsDefinition(t *testing.T) {
	t.Parallel()
	q := &playback.Question{
		Viewer: &playback.Viewer{ID: "u1", Authenticated: true, Claims: map[string]any{"plan": "x", "roles": []any{"a"}, "zero": 0.0}},
		Object: &playback.Object{ID: "PID1", Policy: playback.PolicySigned},
		Client: &playback.Client{Country: "DE"},
		Now:    testTime(),
	}
	known, viewer := *q, *q.Viewer
	viewer.Memo = new(playback.Memo)
	known.Viewer = &viewer
	all := conditions()
	rapid.Check(t, func(t *rapid.T) {
		drawn := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) drawnRule {
			is := rapid.SampledFrom([]truth{no, no, yes, broken}).Draw(t, "is")
			return drawnRule{rapid.Bool().Draw(t, "deny"), is, rapid.SampledFrom(all[is]).Draw(t, "when")}
		}), 0, 8).Draw(t, "rules")
		var text strings.Builder
		text.WriteString("version: 1\nrules:\n")
		for i, r := range drawn {
			fmt.Fprintf(&text, "  - {id: r%d, effect: %s, when: '%s'}\n", i, map[bool]string{true: "deny", false: "allow"}[r.deny], r.when)
		}
		p, err := policy.Compile([]byte(text.String()), policy.Options{})
		if err != nil {
			t.Fatalf("Compile: %v\n%s", err, text.String())
		}
		wantRule, wantCode := define(drawn)
		for n, q := range []*playback.Question{q, &known, &known} {
			got := p.Decide(q)
			if got.Rule != wantRule || code(got) != wantCode || (got.Grant != nil) != (wantCode == "") {
				t.Fatalf("%d: Decide = rule %q, code %q, want %q, %q\n%s", n, got.Rule, code(got), wantRule, wantCode, text.String())
			}
			for _, r := range drawn {
				if r.deny && r.is != no && got.Grant != nil {
					t.Fatalf("%d: allowed against %s\n%s", n, r.when, text.String())
				}
			}
		}
	})
}

// define is contract §5, slowly.
func define(rules []drawnRule) (rule string, code playback.Code) {
	for i, r := range rules {
		switch {
		case !r.deny:
		case r.is == broken:
			return fmt.Sprintf("r%d", i), playback.CodePolicyError
		case r.is == yes:
			return fmt.Sprintf("r%d", i), "denied"
		}
	}
	for i, r := range rules {
		if !r.deny && r.is == yes {
			return fmt.Sprintf("r%d", i), ""
		}
	}
	return "", playback.CodeNoMatchingRule
}

// FuzzCompile: whatever the document is, Compile answers with a policy or with
// problems, and a policy answers every question with a grant or a refusal.
func FuzzCompile(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/bad/*.yaml"} {
		for _, file := range glob(f, pattern) {
			f.Add(file)
		}
	}
	f.Add([]byte("version: !!binary aGk=\nrules: !foo [{? [a] : b}]\n"))
	f.Add([]byte("\xff\xfe"))
	f.Fuzz(func(t *testing.T, text []byte) {
		o := policy.Options{PseudonymKey: playback.NewSecret("key")}
		p, err := policy.Compile(text, o)
		if err != nil {
			var problems policy.Problems
			if p != nil || !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("Compile = %v, %v, want nil and Problems", p, err)
			}
			return
		}
		for kind := range playback.TokenTypes {
			if d := p.Decide(&playback.Question{Type: kind}); (d.Grant == nil) == (d.Refusal == nil) {
				t.Fatalf("Decide = %+v, want a grant or a refusal", d)
			}
		}
		p.Warnings(feature())
		report, err := policy.Test(text, o)
		if err != nil {
			t.Fatalf("Test of what compiled: %v", err)
		}
		var out strings.Builder
		if err := report.Print(&out, "fuzz"); err != nil {
			t.Fatal(err)
		}
	})
}
