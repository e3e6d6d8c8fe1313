package policy_test

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

var update = flag.Bool("update", false, "write what the documents give into testdata")

// feature is the longest asset that the documents' warnings reckon with.
func feature() []*playback.Object {
	return []*playback.Object{
		{ID: "PID0"},
		{ID: "PID2", Asset: &playback.Asset{ID: "A2", Duration: 60}},
		{ID: "PID1", Asset: &playback.Asset{ID: "A1", Duration: 5400}},
	}
}

func documents(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob(%q) = %v, %v, want files", pattern, files, err)
	}
	return files
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// golden compares got with a file, which need not exist for "".
func golden(t *testing.T, file, got string) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if *update && got != string(want) {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// TestDocuments runs the tests of every document in testdata, which are named
// after the situation, and compares its warnings with the file beside it.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, file := range documents(t, "testdata/*.yaml") {
		name := strings.TrimSuffix(file, ".yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			text := read(t, file)
			report, err := policy.Test(text, policy.Options{})
			if err != nil {
				t.Fatalf("Test: %v", err)
			}
			if len(report.Tests) == 0 {
				t.Error("the document has no tests")
			}
			if report.Failures() > 0 {
				var out bytes.Buffer
				if err := report.Print(&out, file); err != nil {
					t.Error(err)
				}
				t.Error(out.String())
			}
			warnings, err := policy.Check(text, policy.Options{}, feature())
			if err != nil {
				t.Fatalf("Check: %v", err)
			}
			golden(t, name+".warnings", lines(warnings))
		})
	}
}

// TestBadDocuments compares everything that is wrong with a document with the
// file beside it: all problems at once, each with its path and line.
func TestBadDocuments(t *testing.T) {
	t.Parallel()
	for _, file := range documents(t, "testdata/bad/*.yaml") {
		name := strings.TrimSuffix(file, ".yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			p, err := policy.Compile(read(t, file), policy.Options{})
			var problems policy.Problems
			if p != nil || !errors.As(err, &problems) {
				t.Fatalf("Compile = %v, %v, want nil and Problems", p, err)
			}
			golden(t, name+".problems", err.Error()+"\n")
		})
	}
}

func lines(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, "\n") + "\n"
}
