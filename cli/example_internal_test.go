package cli

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestUsageErrorsShowACommandLine that is complete: each command has an example,
// which the grammar accepts.
func TestUsageErrorsShowACommandLine(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commands{}, kong.Name("playgate"), kong.Exit(func(int) {}), kong.Bind(&Process{}))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, leaf := range parser.Model.Leaves(true) {
		var words []string
		for node := leaf; node.Type == kong.CommandNode; node = node.Parent {
			words = append([]string{node.Name}, words...)
		}
		name := strings.Join(words, " ")
		args, ok := examples[name]
		if !ok {
			t.Errorf("%s: there is no example", name)
			continue
		}
		seen++
		line := words
		for i, part := range strings.Split(args, "'") { // one argument in quotation marks
			if i%2 == 1 {
				line = append(line, part)
			} else {
				line = append(line, strings.Fields(part)...)
			}
		}
		if _, err := parser.Parse(line); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if seen != len(examples) {
		t.Errorf("%d of %d examples are of a command", seen, len(examples))
	}
	for args, want := range map[string]string{
		"keys list":         "missing flags: --config=FILE, --environment=STRING; for example: playgate keys list --config playgate.yaml --environment acme-prod (see playgate keys list --help)",
		"serve":             "missing flags: --config=FILE; for example: playgate serve --config playgate.yaml (see playgate serve --help)",
		"policy diff a":     `expected "<new>"; for example: playgate policy diff old.yaml new.yaml (see playgate policy diff --help)`,
		"policy explain a":  `missing flags: --given=JSON; for example: playgate policy explain policy.yaml --given '{"playback_id": "PID1"`,
		"token inspect":     `expected "<token>"; for example: playgate token inspect TOKEN (see playgate token inspect --help)`,
		"nonsense":          "(see playgate --help)",
		"keys list --confg": "(see playgate keys list --help)",
	} {
		var out, errs strings.Builder
		status := Run(&Process{Args: strings.Fields(args), Stdout: &out, Stderr: &errs})
		if status != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: status %d, %s%s, want %s", args, status, out.String(), errs.String(), want)
		}
	}
}
