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

// TestGitIgnoresSigningKeys: README has one put beside the configuration.
func TestGitIgnoresSigningKeys(t *testing.T) {
	t.Parallel()
	if err := exec.Command("git", "-C", "..", "rev-parse", "--git-dir").Run(); err != nil {
		absent(t, "there is no git repository: "+err.Error())
	}
	for _, name := range []string{"keys/my-app/KEY1.pem", "configs/keys/my-app/KEY1.pem", "configs/keys/my-app/KEY1.json", ".env"} {
		if err := exec.Command("git", "-C", "..", "check-ignore", "--quiet", name).Run(); err != nil {
			t.Errorf("git would take %s: %v", name, err)
		}
	}
}
