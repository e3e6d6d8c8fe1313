package policy_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

func TestAShadowCountsAndDecidesNothing(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics := policy.NewMetrics(registry)
	before, after := compiled(t, diffBefore), compiled(t, diffAfter)
	var log bytes.Buffer
	s := policy.NewShadowed(policy.ShadowConfig{
		Policy: before, Shadow: after, Environment: "acme-prod", Metrics: metrics, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	metrics.InForce("acme-prod", policy.RolePolicy, after)
	metrics.InForce("acme-prod", policy.RolePolicy, before)
	metrics.InForce("acme-prod", policy.RoleShadow, after)
	for i, c := range []struct{ plan, country, asset, rule string }{
		{"premium", "RU", "A1", "ban"},
		{"premium", "DE", "A1", "premium"},
		{"basic", "DE", "A2", "basic"},
		{"basic", "DE", "A1", "basic"},
		{"basic", "DE", "A2", "basic"},
	} {
		q := &playback.Question{
			Viewer: &playback.Viewer{ID: "u1", Claims: map[string]any{"plan": c.plan}},
			Object: &playback.Object{ID: "PID1", Asset: &playback.Asset{ID: playback.AssetID(c.asset)}},
			Client: &playback.Client{Country: c.country}, Now: time.Unix(1_800_000_000, 0),
		}
		if d := s.Decide(q); d.Rule != c.rule {
			t.Errorf("question %d: rule %q, want %q: the policy decides", i, d.Rule, c.rule)
		}
	}
	want := []string{
		"playgate_policy_info acme-prod " + before.Revision() + " policy 1",
		"playgate_policy_info acme-prod " + after.Revision() + " shadow 1",
		"playgate_policy_shadow_total acme-prod changed 1",
		"playgate_policy_shadow_total acme-prod gained 1",
		"playgate_policy_shadow_total acme-prod lost 2",
		"playgate_policy_shadow_total acme-prod same 1",
		"playgate_policy_shadow_total acme-prod skipped 0",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, samples(t, registry)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if n := strings.Count(log.String(), "\n"); n != 3 {
		t.Errorf("%d lines, want one of each kind:\n%s", n, log.String())
	}
	if !strings.Contains(log.String(), `changes="ttl 1h → 2h"`) {
		t.Errorf("the log does not say what changed:\n%s", log.String())
	}
	if strings.Contains(log.String(), "u1") {
		t.Errorf("the log names the viewer:\n%s", log.String())
	}
}

func TestAShadowIsNotAskedWithoutWhatItReads(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	holders := compiled(t, `{version: 1, rules: [{id: holders, effect: allow, when: 'size(viewer.grants) > 0'}]}`)
	all := compiled(t, `{version: 1, rules: [{id: all, effect: allow, when: true}]}`)
	metrics := policy.NewMetrics(registry)
	s := policy.NewShadowed(policy.ShadowConfig{Policy: all, Shadow: holders, Environment: "acme", Metrics: metrics})
	metrics.InForce("acme", policy.RoleShadow, holders)
	if d := s.Decide(&playback.Question{Now: time.Unix(1_800_000_000, 0), Entitlements: unreadable{}}); d.Refusal != nil {
		t.Errorf("Decide = %v, want what the policy says", d.Refusal)
	}
	got := samples(t, registry)
	if !slices.Contains(got, "playgate_policy_shadow_total acme skipped 1") || !slices.Contains(got, "playgate_policy_shadow_total acme lost 0") {
		t.Errorf("metrics %q, want one skipped, none lost", got)
	}
}

// samples lists what is published: name, labels, value.
func samples(t *testing.T, registry *prometheus.Registry) []string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			line := f.GetName()
			for _, l := range m.GetLabel() {
				line += " " + l.GetValue()
			}
			all = append(all, fmt.Sprint(line, " ", m.GetCounter().GetValue()+m.GetGauge().GetValue()))
		}
	}
	slices.Sort(all)
	return all
}

func TestUnreachableRulesFailTheTests(t *testing.T) {
	t.Parallel()
	report, err := policy.Test([]byte(`
version: 1
rules:
  - {id: all, effect: allow, when: true}
  - {id: dead, effect: allow, when: viewer.authenticated}
tests:
  - {name: "a <b>\x01", given: {}, expect: {rule: all}}
  - {name: wrong, given: {}, expect: {rule: dead}}
`), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Passed() || len(report.Unreachable) != 1 || report.Unreachable[0].Rule != "dead" || !strings.HasSuffix(report.Unreachable[0].Text, "decides before it (line 5)") {
		t.Errorf("Unreachable = %q, want the dead rule", report.Unreachable)
	}
	var j policy.JUnit
	j.Add("acme.yaml", report)
	j.AddProblems("broken.yaml", policy.Problems{{Path: "rules", Message: "no"}})
	var out bytes.Buffer
	if err := j.Write(&out); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Cases    []struct {
				Name    string  `xml:"name,attr"`
				Failure *string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if len(read.Suites) != 2 || read.Suites[0].Tests != 3 || read.Suites[0].Failures != 2 || read.Suites[1].Failures != 1 ||
		read.Suites[0].Cases[0].Failure != nil || read.Suites[0].Cases[1].Failure == nil ||
		!strings.HasPrefix(*read.Suites[0].Cases[1].Failure, "line 8\n") || read.Suites[0].Cases[2].Name != "rule dead can be reached" {
		t.Errorf("JUnit:\n%s", out.String())
	}
}
