package policy_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/policy"
)

const rulesPage = "../docs/rules.md"

// TestDocumentedVariablesAreTheVariables: the table is generated.
func TestDocumentedVariablesAreTheVariables(t *testing.T) {
	t.Parallel()
	page := string(read(t, rulesPage))
	const begin, end = "| variable | type | |\n|---|---|---|\n", "<!-- /variables -->"
	head, rest, ok := strings.Cut(page, begin)
	got, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no table of variables", rulesPage)
	}
	var want strings.Builder
	for _, v := range policy.Variables() {
		if len(v.Fields) == 0 {
			fmt.Fprintf(&want, "| `%s` | %s | %s |\n", v.Name, v.Type, v.Doc)
		}
		for _, f := range v.Fields {
			fmt.Fprintf(&want, "| `%s.%s` | %s | %s |\n", v.Name, f.Name, f.Type, f.Doc)
		}
	}
	if *update {
		if err := os.WriteFile(rulesPage, []byte(head+begin+want.String()+end+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), got); diff != "" {
		t.Errorf("%s (-want +got; go test ./policy -update writes it):\n%s", rulesPage, diff)
	}
}

// TestDocumentedVariablesCompile, each with its type: a field that is in the
// table is in the language.
func TestDocumentedVariablesCompile(t *testing.T) {
	t.Parallel()
	fields := 0
	for _, v := range policy.Variables() {
		for _, f := range v.Fields {
			fields++
			zero := map[string]string{
				"string": `""`, "bool": "false", "int": "0", "double": "0.0", "timestamp": `timestamp("1970-01-01T00:00:00Z")`,
				"map(string, dyn)": "{}", "list(map(string, dyn))": "[]",
			}[f.Type]
			if v.Name+"."+f.Name == "request.country" {
				zero = `"ZZ"` // the one text of which "" is not the zero
			}
			if _, err := policy.Compile([]byte(when(v.Name+"."+f.Name+" == "+zero)), policy.Options{}); err != nil {
				t.Errorf("%s.%s is no %s: %v", v.Name, f.Name, f.Type, err)
			}
			if _, err := policy.Compile([]byte(when(v.Name+"."+f.Name+"x == "+zero)), policy.Options{}); err == nil {
				t.Errorf("%s.%sx compiles", v.Name, f.Name)
			}
		}
	}
	if fields != 28 { // contract §5, Variables, counted there
		t.Errorf("there are %d fields, want 28", fields)
	}
}

// TestDocumentedDocumentsPassTheirTests, cover all their rules, and earn no
// warning.
func TestDocumentedDocumentsPassTheirTests(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(read(t, rulesPage)), -1)
	if len(blocks) < 4 {
		t.Fatalf("%d documents in %s, want at least 4", len(blocks), rulesPage)
	}
	for i, block := range blocks {
		report, err := policy.Test([]byte(block[1]), documented())
		if err != nil {
			t.Fatalf("document %d: %v\n%s", i, err, block[1])
		}
		if report.Failures() > 0 || len(report.Uncovered()) > 0 {
			var out strings.Builder
			if err := report.Print(&out, fmt.Sprintf("document %d", i)); err != nil {
				t.Error(err)
			}
			t.Error(out.String())
		}
		warnings, err := policy.Check([]byte(block[1]), documented(), feature())
		for _, w := range warnings {
			if !strings.Contains(w, "pseudonym_key_file") {
				t.Errorf("document %d: %s, %v", i, w, err)
			}
		}
	}
}

// TestDocumentedConditionsCompile: every condition in running text and tables.
func TestDocumentedConditionsCompile(t *testing.T) {
	t.Parallel()
	found := 0
	for _, m := range regexp.MustCompile("`([^`\n]*(?:viewer|request|asset)\\.[^`\n]*(?:==|!=|<|>| in |matches)[^`\n]*)`").FindAllStringSubmatch(string(read(t, rulesPage)), -1) {
		found++
		if _, err := policy.Compile([]byte(when(m[1])), policy.Options{}); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
	if found < 10 {
		t.Errorf("%d conditions found, want at least 10", found)
	}
}

// TestEveryKeyIsDocumented: the keys that the decoder knows, as it lists them
// for an unknown one.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	page := string(read(t, rulesPage))
	const text = `
unknown: 1
version: 1
rules: [{id: a, effect: allow, when: 'true', unknown: 1, grant: {unknown: 1}}]
tests: [{unknown: 1, given: {unknown: 1}, expect: {unknown: 1}}]
`
	_, err := policy.Compile([]byte(text), policy.Options{})
	lists := regexp.MustCompile(`want one of (.*) \(line`).FindAllStringSubmatch(fmt.Sprint(err), -1)
	if len(lists) != 6 {
		t.Fatalf("Compile = %v, want six lists of keys", err)
	}
	for _, list := range lists {
		for key := range strings.SplitSeq(list[1], ", ") {
			if !regexp.MustCompile("`" + key + "`|(?m)^" + key + ":").MatchString(page) {
				t.Errorf("%s does not mention `%s`", rulesPage, key)
			}
		}
	}
}
