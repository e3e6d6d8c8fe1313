package configs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestAnchorsAliasesAndMergesWork(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, `
organizations:
  - id: acme
    environments:
      - &prod
        id: acme-prod
        token: &token {max_ttl: 1h}
        cors_origins: &origins ["https://a.example"]
        rate_limits: {ip: "1-S", viewer: "2-S"}
      - <<: *prod
        id: acme-dev
        cors_origins: *origins
        rate_limits: {ip: "3-S"}
      - id: acme-test
        token: {<<: [*token, {default_ttl: 5m, max_ttl: 2h}]}
`, nil).Config
	e := c.Organizations[0].Environments
	if e[1].ID != "acme-dev" || e[1].Token != e[0].Token || e[1].CORSOrigins[0] != "https://a.example" {
		t.Errorf("merged environment = %+v", e[1])
	}
	if e[1].RateLimits.IP != "3-S" || e[1].RateLimits.Viewer != "120-M" {
		t.Errorf("rate_limits = %+v, want the mapping's own, not mixed", e[1].RateLimits)
	}
	if got := e[2].Token; got.MaxTTL.String() != "1h0m0s" || got.DefaultTTL.String() != "5m0s" {
		t.Errorf("token = %+v, want the first merged mapping to win", got)
	}
}

func TestADocumentMaySayThatItIsYAML12(t *testing.T) {
	t.Parallel()
	const text = "# ours\n%YAML 1.2\n---\nlog: {level: warn}\n"
	if got := mustLoad(t, text, nil).Config.Log.Level; got != "warn" {
		t.Errorf("log.level = %q", got)
	}
	if p := problemsOf(t, text+"logs: {}\n", nil); len(p) != 1 || p[0].Line != 5 {
		t.Errorf("problems %v, want one in line 5", p)
	}
	// A policy_file too: what check-config warns of is read from it.
	loaded := mustLoad(t, environment("policy_file: p.yaml"), files{home + "/p.yaml": "%YAML 1.2\n---\nversion: 1\n"})
	if len(loaded.Warnings) == 0 || !strings.Contains(fmt.Sprint(loaded.Warnings), "there are no rules") {
		t.Errorf("warnings %v, want that there are no rules", loaded.Warnings)
	}
}

// TestExtensionKeysAreIgnoredAtEveryLevel puts one into every mapping of the
// contract's example.
func TestExtensionKeysAreIgnoredAtEveryLevel(t *testing.T) {
	t.Parallel()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(example), &root); err != nil {
		t.Fatal(err)
	}
	mappings := 0
	var extend func(n *yaml.Node)
	extend = func(n *yaml.Node) {
		for _, c := range n.Content {
			extend(c)
		}
		if n.Kind == yaml.MappingNode {
			mappings++
			var key, value yaml.Node
			key.SetString("x-note")
			if err := value.Encode(map[string]any{"any": []any{1, "thing", nil}, "listen": ":1"}); err != nil {
				t.Fatal(err)
			}
			n.Content = append(n.Content, &key, &value)
		}
	}
	extend(&root)
	text, err := yaml.Marshal(&root)
	if err != nil {
		t.Fatal(err)
	}
	if mappings < 20 {
		t.Errorf("only %d mappings", mappings)
	}
	plain, extended := mustLoad(t, example, exampleFiles).Config, mustLoad(t, string(text), exampleFiles).Config
	meta := extended.Organizations[0].Environments[0].PlaybackIDs[0].Asset.Meta
	if _, data := meta["x-note"]; !data {
		t.Error("meta lost a member: its names are data")
	}
	delete(meta, "x-note")
	if diff := cmp.Diff(plain, extended, compare()); diff != "" {
		t.Errorf("the extended document (-plain +extended):\n%s", diff)
	}
}

func TestExtensionKeysHoldAnchors(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, `
x-limits: &limits {viewer: 5-S, ip: 6-S}
organizations:
  - id: acme
    x-token: &token {max_ttl: 1h, default_ttl: 10m}
    environments:
      - {id: acme-prod, rate_limits: *limits, token: *token}
      - {id: acme-dev, rate_limits: {<<: *limits, x-why: "more for tests", ip: 7-S}}
`, nil).Config
	e := c.Organizations[0].Environments
	if e[0].RateLimits.IP != "6-S" || e[0].Token.MaxTTL.String() != "1h0m0s" || e[1].RateLimits.Viewer != "5-S" || e[1].RateLimits.IP != "7-S" {
		t.Errorf("environments %+v", e)
	}
	refused(t, "x-a: 1\nx-a: 2\n", "x-a", "already given", nil)
	refused(t, "X-a: 1\n", "X-a", "unknown key", nil)
	refused(t, "x: 1\n", "x", "unknown key", nil)
}

func TestYAMLThatMeansNothingHereIsRefused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	for _, c := range []struct{ text, path, words string }{
		{"log: {level: !!binary aW5mbw==}", "log.level", "tag !!binary"},
		{"log: {level: !env LEVEL}", "log.level", "tag !env"},
		{"server: {admin_pprof: !!bool maybe}", "server.admin_pprof", "is no !!bool"},
		{"server: {listen: !!null ':80'}", "server.listen", "is no !!null"},
		{"server: {<<: 5}", `server."<<"`, "want a mapping, or a list of mappings"},
		{"server: {[a]: 5}", "server", "a key must be a string"},
		{environment("policy: {a: &a [*a]}"), inEnvironment + "policy.a" + strings.Repeat("[0]", 28), "nested"},
		{environment("policy: {a: " + deep + "}"), inEnvironment + "policy.a" + strings.Repeat("[0]", 58), "nested"},
		{"log: {}\n---\nlog: {}\n", "", "several"},
		{"log: {level: info", "", ""},
		{"log: {level: info}}", "", ""},
		{"\tlog: x", "", ""},
		{"log: *nothing", "", "unknown anchor"},
		{"log: \x00", "", "control characters"},
		{"log: \xff", "", ""},
		{strings.Repeat("[", 20000), "", ""},
		{strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500), "", "nested"},
	} {
		problems := problemsOf(t, c.text, nil)
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Path, c.path[:min(len(c.path), 60)]) || !strings.Contains(problems[0].Message, c.words) {
			t.Errorf("loading:\n%.200s\ngives %.400q, want one problem at %s that says %q", c.text, problems, c.path, c.words)
		}
	}
	if n := problemsOf(t, "log: {}\nserver:\n  listen: [\n", nil); n[0].Line == 0 {
		t.Errorf("%v names no line", n)
	}
}

func TestAliasesCannotGrowWithoutBound(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 12 {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i, i, i, i, i, i, i)
	}
	problems := problemsOf(t, b.String(), nil)
	if !strings.Contains(problems.Error(), "aliases repeat more than") {
		t.Errorf("gives %q", problems)
	}
	// The same with merges, which copy the members of a mapping.
	b.Reset()
	b.WriteString("a0: &a0 {x0: 1}\n")
	for i := range 40 {
		fmt.Fprintf(&b, "a%d: &a%d {y: *a%d, z: {<<: *a%d}}\n", i+1, i+1, i, i)
	}
	if problems := problemsOf(t, b.String(), nil); !strings.Contains(problems.Error(), "aliases repeat more than") {
		t.Errorf("gives %.200q", problems)
	}
}

func TestMetaHoldsWhatJSONHolds(t *testing.T) {
	t.Parallel()
	a := theEnvironment(t, `
playback_ids:
  - id: P1
    asset:
      id: A1
      meta: {title: T, n: 1, f: 1.5, big: 1e3, oct: 0o17, t: true, nothing: null, "a.b": {c: [1, x, null, {}]}, date: 2027-01-01, quoted: "5"}`, nil).PlaybackIDs[0].Asset
	want := map[string]any{
		"title": "T", "n": 1.0, "f": 1.5, "big": 1000.0, "oct": 15.0, "t": true, "a.b": map[string]any{"c": []any{1.0, "x", nil, map[string]any{}}},
		"date": "2027-01-01", "quoted": "5",
	}
	if diff := cmp.Diff(want, a.Meta); diff != "" {
		t.Error(diff)
	}
}
