package e2e_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestNoSourceIsIgnored keeps a package from being called like something that
// .gitignore hides: it would build here, and exist nowhere else.
func TestNoSourceIsIgnored(t *testing.T) {
	t.Parallel()
	git := exec.Command("git", "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", "*.go", "go.mod", ":!:*node_modules/*")
	git.Dir = ".."
	list, err := git.Output()
	if err != nil {
		absent(t, "there is no git repository: "+err.Error())
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		if name != "" {
			t.Errorf("%s is ignored by git, so it would not be committed", name)
		}
	}
}
