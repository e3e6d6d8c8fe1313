package e2e_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The pages of the documentation, whose lines and links are checked.
var (
	heading   = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	section   = regexp.MustCompile(`(?m)^#{2,6} +(\d+(?:\.\d+)*)[. ]`)
	fence     = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	inline    = regexp.MustCompile("`[^`\n]*`")
	relative  = regexp.MustCompile(`\]\(([^)\s:]*)\)`)
	pageName  = regexp.MustCompile(`\bdocs/[\w/-]+\.md(?:#[\w-]+)?`)
	citation  = regexp.MustCompile(`(?i)\b(contract|[\w-]+\.md),? (§[A-Z]?\d[\d.]*(?:(?:, | and |, and )§[A-Z]?\d[\d.]*)*)`)
	decision  = regexp.MustCompile(`(?i)\bdecisions?[ /](\d{4})\b`)
	outside   = regexp.MustCompile(`(?i)\bdesign (?:§|decision)|\bhouse rule|\breference/[\w-]+\.md`)
	joinLines = regexp.MustCompile(`\n\s*(?://|#|\*|--)?[ \t]*`)
)

// sources returns the text files that may cite a page, by path.
func sources(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "node_modules", "bin", "fuzz"}, d.Name()) || name == "benchmarks/results" {
				return fs.SkipDir
			}
			return nil
		}
		known := []string{".go", ".md", ".yaml", ".yml", ".sh", ".mjs", ".js", ".html", ".hcl", ".sql"}
		if !slices.Contains(known, path.Ext(name)) && d.Name() != "Makefile" && d.Name() != "Dockerfile" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		out[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// anchors returns the anchors of a page's headings, as GitHub makes them.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		text := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1")
		text = regexp.MustCompile(`[^\p{L}\p{N}\s_-]`).ReplaceAllString(strings.ToLower(text), "")
		anchor := strings.ReplaceAll(strings.TrimSpace(text), " ", "-")
		for n, base := 1, anchor; out[anchor]; n++ {
			anchor = fmt.Sprintf("%s-%d", base, n)
		}
		out[anchor] = true
	}
	return out
}

// missing says what a path with an optional anchor names that is not there, "" for nothing.
func missing(files map[string]string, target string) string {
	name, anchor, _ := strings.Cut(target, "#")
	if _, err := os.Stat(path.Join("..", name)); err != nil {
		return "there is no " + name
	}
	if anchor != "" && !anchors(files[name])[anchor] {
		return name + " has no heading #" + anchor
	}
	return ""
}

// TestWhatTheRepositoryCitesIsInIt: sections of the contract and of the page
// about Mux, decisions, pages and their headings.
func TestWhatTheRepositoryCitesIsInIt(t *testing.T) {
	t.Parallel()
	files := sources(t)
	sections := map[string]map[string]bool{}
	for name, text := range files {
		if strings.HasPrefix(name, "docs/") {
			sections[name] = map[string]bool{}
			for _, m := range section.FindAllStringSubmatch(text, -1) {
				sections[name][m[1]] = true
			}
		}
	}
	decisions := map[string]bool{}
	for name := range files {
		if rest, ok := strings.CutPrefix(name, "docs/decisions/"); ok {
			decisions[rest[:4]] = true
		}
	}
	cited := 0
	for name, text := range files {
		if name == "e2e/references_test.go" {
			continue
		}
		text = joinLines.ReplaceAllString(text, " ")
		for _, m := range citation.FindAllStringSubmatch(text, -1) {
			page := "docs/" + strings.TrimSuffix(strings.ToLower(m[1]), ".md") + ".md"
			for _, number := range regexp.MustCompile(`[A-Z]?\d+(?:\.\d+)*`).FindAllString(m[2], -1) {
				cited++
				if !sections[page][number] {
					t.Errorf("%s cites %q: %s has no section %s", name, m[0], page, number)
				}
			}
		}
		for _, m := range decision.FindAllStringSubmatch(text, -1) {
			if !decisions[m[1]] {
				t.Errorf("%s cites decision %s, which is not in docs/decisions", name, m[1])
			}
		}
		for _, target := range pageName.FindAllString(text, -1) {
			if problem := missing(files, target); problem != "" {
				t.Errorf("%s cites %s: %s", name, target, problem)
			}
		}
		if what := outside.FindString(text); what != "" {
			t.Errorf("%s cites %q, which is not in the repository", name, what)
		}
	}
	if cited < 80 {
		t.Errorf("%d citations of sections found, want at least 80", cited)
	}
}

// TestLinksBetweenPagesLead somewhere, with their anchors.
func TestLinksBetweenPagesLead(t *testing.T) {
	t.Parallel()
	files := sources(t)
	for name, text := range files {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, m := range relative.FindAllStringSubmatch(inline.ReplaceAllString(fence.ReplaceAllString(text, ""), ""), -1) {
			target := path.Join(path.Dir(name), m[1])
			if strings.HasPrefix(m[1], "#") {
				target = name + m[1]
			}
			if problem := missing(files, target); problem != "" {
				t.Errorf("%s links to %s: %s", name, m[1], problem)
			}
		}
	}
}

// TestDecisionsAreNumberedWithoutGaps, and no number is used twice.
func TestDecisionsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("../docs/decisions")
	if err != nil {
		t.Fatal(err)
	}
	for n, entry := range entries {
		if want := fmt.Sprintf("%04d-", n+1); !strings.HasPrefix(entry.Name(), want) {
			t.Errorf("decision %d is %s, want %s…", n+1, entry.Name(), want)
		}
	}
}

// TestLinesOfPagesAreShort outside tables and code, which cannot be broken.
func TestLinesOfPagesAreShort(t *testing.T) {
	t.Parallel()
	const limit = 120
	for name, text := range sources(t) {
		if path.Ext(name) != ".md" || name == "CHANGELOG.md" || strings.Contains(name, "testdata/") {
			continue
		}
		code := false
		for n, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			}
			if !code && !strings.HasPrefix(line, "|") && len([]rune(line)) > limit {
				t.Errorf("%s:%d has %d characters, want at most %d", name, n+1, len([]rune(line)), limit)
			}
		}
	}
}
