package configs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
