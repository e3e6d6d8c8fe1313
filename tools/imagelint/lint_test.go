package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEachRuleBites(t *testing.T) {
	t.Parallel()
	const good = "FROM golang:1.26 AS build\nRUN make build\n\nFROM debian:bookworm-slim\nCOPY --from=build /out/p /p\nUSER 65532:65532\nENTRYPOINT [\"/p\"]\n"
	for _, tc := range []struct{ name, old, new, want string }{
		{"clean", "", "", ""},
		{"unknown stage", "--from=build /out/p", "--from=biuld@x /out/p", "does not build"},
		{"unknown instruction", "RUN make", "RNU make", "unknown instruction"},
		{"casing of AS", "AS build", "as build", "FromAsCasing"},
		{"secret in ENV", "USER", "ENV VAULT_TOKEN=x\nUSER", "SecretsUsedInArgOrEnv"},
		{"undefined variable", "RUN make build", "ENV A=$NOWHERE", "UndefinedVar"},
		{"shell form", `["/p"]`, "/p", "JSONArgsRecommended"},
		{"latest", "golang:1.26", "golang:latest", "UnpinnedBase"},
		{"no tag behind a port", "golang:1.26", "localhost:5000/golang", "UnpinnedBase"},
		{"tag in an argument's default", "FROM golang:1.26", "ARG GO=golang:1.26\nFROM ${GO}", ""},
		{"argument without a tag", "FROM golang:1.26", "ARG GO=golang\nFROM ${GO}", "UnpinnedBase"},
		{"ADD", "COPY --from=build /out/p /p", "ADD x /p", "NoAdd"},
		{"no user", "USER 65532:65532\n", "", "RootUser"},
		{"root", "USER 65532:65532", "USER 0", "RootUser"},
		{"named user", "USER 65532:65532", "USER nobody", "RootUser"},
		{"root at the end", "ENTRYPOINT", "USER root\nENTRYPOINT", "RootUser"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "Dockerfile")
			if err := os.WriteFile(path, []byte(strings.Replace(good, tc.old, tc.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			findings, err := lintFile(t.Context(), path)
			got := strings.Join(findings, "\n")
			if err != nil {
				got = err.Error()
			}
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("lintFile = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestExportLeavesOutWhatIsIgnored(t *testing.T) {
	t.Parallel()
	root, dest := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{".dockerignore": ".git\n**/*_test.go\n", "main.go": "x", "a/b.go": "x", "a/b_test.go": "x", ".git/config": "x"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := exportContext(root, dest); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"main.go": true, "a/b.go": true, "a/b_test.go": false, ".git/config": false} {
		_, err := os.Stat(filepath.Join(dest, name))
		if got := err == nil; got != want {
			t.Errorf("%s exported = %v, want %v", name, got, want)
		}
	}
}

// TestSecretsStayOutOfTheBuildContext: README has a signing key put beside the
// configuration, and an image is passed on.
func TestSecretsStayOutOfTheBuildContext(t *testing.T) {
	t.Parallel()
	ignore, err := ignoreRules(filepath.Join("..", "..", ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"keys/my-app/KEY1.pem": true, "keys/my-app/KEY1.json": true, "configs/keys/my-app/KEY1.pem": true, "configs/keys/my-app/KEY1.json": true,
		"elsewhere/KEY1.pem": true, ".env": true, "deploy/.env": true, "configs/playgate.db": true,
		"main.go": false, "go.mod": false, "configs/minimal.yaml": false, "keystore/key.go": false, "signingkey/create.go": false, "demo/demo.yaml": false,
	} {
		if got, err := ignore.MatchesOrParentMatches(name); err != nil || got != want {
			t.Errorf("%s: left out %v, want %v; %v", name, got, want, err)
		}
	}
}
