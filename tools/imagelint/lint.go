package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// lintFile returns one line for each broken rule of the Dockerfile at path.
func lintFile(ctx context.Context, path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the Dockerfile: %w", err)
	}
	findings, err := buildkitFindings(ctx, path, text)
	if err != nil {
		return nil, err
	}
	more, err := houseFindings(path, text)
	if err != nil {
		return nil, err
	}
	return append(findings, more...), nil
}

// buildkitFindings is `docker build --check` for every stage.
func buildkitFindings(ctx context.Context, path string, text []byte) ([]string, error) {
	source := llb.NewSourceMap(nil, filepath.Base(path), "Dockerfile", text)
	source.Definition = &llb.Definition{} // the linter reads it without asking whether it is there
	results, err := dockerfile2llb.DockerfileLint(ctx, text, dockerfile2llb.ConvertOpt{SourceMap: source, MetaResolver: anyImage{}})
	if err != nil {
		return nil, fmt.Errorf("linting the Dockerfile: %w", err)
	}
	var findings []string
	if results.Error != nil {
		findings = append(findings, fmt.Sprintf("%s:%d: does not build: %s", path, firstLine(&results.Error.Location), results.Error.Message))
	}
	for _, w := range results.Warnings {
		findings = append(findings, fmt.Sprintf("%s:%d: %s: %s", path, firstLine(w.Location), w.RuleName, w.Detail))
	}
	return findings, nil
}

func firstLine(location *pb.Location) int32 {
	for _, r := range location.GetRanges() {
		return r.GetStart().GetLine()
	}
	return 0
}

// anyImage answers for every base image with an empty configuration, so that no
// registry is asked.
type anyImage struct{}

// ResolveImageConfig implements the resolver of image configurations.
func (anyImage) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config := []byte(`{"architecture":"amd64","os":"linux","config":{}}`)
	return ref, digest.FromBytes(config), config, nil
}

// numericUser is USER's argument: a user ID that is not 0, perhaps with a group.
// Kubernetes' runAsNonRoot cannot judge a name.
var numericUser = regexp.MustCompile(`\A[1-9][0-9]*(?::[0-9]+)?\z`)

// houseFindings checks what BuildKit leaves to taste.
func houseFindings(path string, text []byte) ([]string, error) {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("parsing the Dockerfile: %w", err)
	}
	stages, args, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the Dockerfile's instructions: %w", err)
	}
	defaults := map[string]string{}
	for _, command := range args {
		for _, arg := range command.Args {
			defaults[arg.Key] = arg.ValueString()
		}
	}
	var findings []string
	report := func(location []parser.Range, message string) {
		line := 0
		if len(location) > 0 {
			line = location[0].Start.Line
		}
		findings = append(findings, fmt.Sprintf("%s:%d: %s", path, line, message))
	}
	names := map[string]bool{"scratch": true}
	for _, stage := range stages {
		base := os.Expand(stage.BaseName, func(name string) string { return defaults[name] })
		if !names[strings.ToLower(base)] && !versioned(base) {
			report(stage.Location, fmt.Sprintf("UnpinnedBase: base image %q carries no version", base))
		}
		names[strings.ToLower(stage.Name)] = true
		for _, command := range stage.Commands {
			if _, ok := command.(*instructions.AddCommand); ok {
				report(command.Location(), "NoAdd: use COPY; ADD unpacks and downloads")
			}
		}
	}
	last := stages[len(stages)-1]
	if user := lastUser(last); !numericUser.MatchString(user) {
		report(last.Location, fmt.Sprintf("RootUser: the last stage runs as %q, want a numeric user that is not 0", user))
	}
	return findings, nil
}

// versioned reports whether an image reference has a digest or a tag other than latest.
func versioned(image string) bool {
	if strings.Contains(image, "@sha256:") {
		return true
	}
	_, tag, found := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return found && tag != "" && tag != "latest"
}

func lastUser(stage instructions.Stage) string {
	user := ""
	for _, command := range stage.Commands {
		if u, ok := command.(*instructions.UserCommand); ok {
			user = u.User
		}
	}
	return user
}
