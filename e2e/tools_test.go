package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/playgate/playgate/cli" // the binary's sources: go test's cache must know them
)

// absent ends a test whose tools are missing: it fails in CI, and skips
// elsewhere. Every such decision is taken here.
func absent(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s; `make setup` installs it", what)
	}
	t.Skipf("NOT TESTED: %s; `make setup` installs it", what)
}

// oldestNode is the first version of Node that Mux's SDK 15 runs on.
const oldestNode = 20

// needNode wants Node and the very packages that e2e/node/package.json names.
func needNode(t *testing.T) {
	t.Helper()
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		absent(t, "Node is missing")
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestNode {
		absent(t, "Node is "+strings.TrimSpace(string(out))+", older than "+strconv.Itoa(oldestNode))
	}
	var manifest struct{ Dependencies map[string]string }
	readJSON(t, filepath.Join("node", "package.json"), &manifest)
	for name, want := range manifest.Dependencies {
		want = want[strings.LastIndex(want, "@")+1:] // npm:@mux/mux-node@12.8.1
		path := filepath.Join("node", "node_modules", filepath.FromSlash(name), "package.json")
		if _, err := os.Stat(path); err != nil {
			absent(t, "the npm package "+name+" is missing in e2e/node")
		}
		var installed struct{ Version string }
		if readJSON(t, path, &installed); installed.Version != want {
			absent(t, "the npm package "+name+" in e2e/node is "+installed.Version+", not "+want)
		}
	}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// needChromium returns where Chromium is.
func needChromium(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		absent(t, "Chromium is missing")
	}
	return path
}

// node runs a script of e2e/node, which reads in as JSON and answers JSON.
func node(t *testing.T, script string, in, out any) {
	t.Helper()
	for _, name := range []string{script, "kit.mjs", "browser.mjs"} { // go test's cache must know what was read
		if _, err := os.ReadFile(filepath.Join("node", name)); err != nil {
			t.Fatal(err)
		}
	}
	stdin, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("node", script))
	// A script that is told to end closes its browser first.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
	if err := json.Unmarshal(stdout.Bytes(), out); err != nil {
		t.Fatalf("%s: %v in %q\n%s", script, err, stdout.String(), stderr.String())
	}
}

// parts decodes header and payload of a compact JWT without verifying it.
// Numbers keep their spelling, so that 5, 5.0 and "5" are three things.
func parts(t *testing.T, token string) (header, payload map[string]any) {
	t.Helper()
	sections := strings.Split(token, ".")
	if len(sections) != 3 {
		t.Fatalf("not a compact JWT: %q", token)
	}
	for n, into := range []*map[string]any{&header, &payload} {
		decoder := json.NewDecoder(base64.NewDecoder(base64.RawURLEncoding, strings.NewReader(sections[n])))
		decoder.UseNumber()
		if err := decoder.Decode(into); err != nil {
			t.Fatalf("%v in %q", err, token)
		}
	}
	return header, payload
}
