package yamldoc_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/playgate/playgate/yamldoc"
)

func TestDirectives(t *testing.T) {
	t.Parallel()
	for text, line := range map[string]int{ // of the key; 0: refused
		"a: 1\n":                                      1,
		"%YAML 1.2\n---\na: 1\n":                      3,
		"%YAML 1.1\n---\na: 1\n":                      3,
		"%YAML 1.2 # why\n---\na: 1\n":                3,
		"%YAML 1.2#\n---\na: 1\n":                     0,
		"%YAML\t1.2\r\n---\r\na: 1\r\n":               3,
		"%YAML 1.3\n---\na: 1\n":                      3,
		"%YAML 1.12\n---\na: 1\n":                     3,
		"\ufeff%YAML 1.2\n---\na: 1\n":                3,
		"# comment\n\n  # more\n%YAML 1.2\n---\na: 1": 6,
		"%TAG ! tag:x,2000:\n%YAML 1.2\n---\na: 1\n":  4,
		"%YAML 1.2\n--- # one\na: 1\n...\n":           3,
		"%YAML 1.2\na: 1\n":                           0, // a directive ends with ---
		"%YAML 1.2\n%YAML 1.2\n---\na: 1\n":           0,
		"%YAML 2.0\n---\na: 1\n":                      0,
		"%YAML 1.0\n---\na: 1\n":                      0,
		"%YAML 1.\n---\na: 1\n":                       0,
		" %YAML 1.2\n---\na: 1\n":                     0,
	} {
		root, err := yamldoc.Parse([]byte(text))
		switch {
		case line == 0 && err == nil:
			t.Errorf("%q is accepted", text)
		case line > 0 && (err != nil || root == nil || root.Content[0].Value != "a" || root.Content[0].Line != line):
			t.Errorf("%q: %+v, %v, want the key a in line %d", text, root, err, line)
		}
	}
}

// TestADirectiveInAValueIsText: only the beginning of a text has directives.
func TestADirectiveInAValueIsText(t *testing.T) {
	t.Parallel()
	const text = "a: |\n  x\n  %YAML 1.2\n  y\n"
	root, err := yamldoc.Parse([]byte(text))
	if err != nil || root.Content[1].Value != "x\n%YAML 1.2\ny\n" {
		t.Errorf("%+v, %v", root, err)
	}
}

func TestTheTextStaysAsItIs(t *testing.T) {
	t.Parallel()
	text := []byte("%YAML 1.2\n---\na: 1\n")
	if _, err := yamldoc.Parse(text); err != nil || !strings.HasPrefix(string(text), "%YAML 1.2") {
		t.Errorf("%q, %v", text, err)
	}
}

func TestOneDocument(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# only a comment\n"} {
		if root, err := yamldoc.Parse([]byte(text)); root != nil || err != nil {
			t.Errorf("%q: %+v, %v, want nothing", text, root, err)
		}
	}
	_, err := yamldoc.Parse([]byte("a: 1\n---\nb: 2\n"))
	if several, ok := errors.AsType[*yamldoc.SeveralError](err); !ok || several.Line < 2 {
		t.Errorf("two documents: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("%YAML 1.2\n---\na: 1\n")
	f.Add("# c\n%TAG ! x\n%YAML 1.22\n---\n- &a x\n- *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		root, err := yamldoc.Parse([]byte(text))
		if root != nil && err != nil {
			t.Errorf("both a root and %v", err)
		}
	})
}
