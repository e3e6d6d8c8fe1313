package e2e_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/playgate/playgate/policy"
)

// TestReadme holds the README to what is shipped: it quotes the minimal
// configuration whole, its rules compile, its files exist.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(readme)
	minimal, err := os.ReadFile("../configs/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "```yaml\n"+string(minimal)+"```\n") {
		t.Error("README.md does not quote configs/minimal.yaml as it is")
	}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(version: 1.*?)```").FindAllStringSubmatch(text, -1) {
		if _, err := policy.Compile([]byte(block[1]), policy.Options{}); err != nil {
			t.Errorf("rules of README.md: %v", err)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat("../" + link[1]); err != nil {
			t.Errorf("README.md links to what is not there: %v", err)
		}
	}
	for _, command := range []string{"go run . demo", "make test"} {
		if !strings.Contains(text, command) {
			t.Errorf("README.md does not name %q", command)
		}
	}
}
