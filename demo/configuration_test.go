package demo_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/demo"
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

func load(t *testing.T, path string) *configs.Config {
	t.Helper()
	loaded, err := configs.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range loaded.Warnings {
		if warning.Path != "keystore.driver" && warning.Path != "store.driver" { // memory is meant here
			t.Errorf("%s: %s", path, warning)
		}
	}
	return loaded.Config
}

func TestShippedConfigurationLoads(t *testing.T) {
	t.Parallel()
	load(t, "demo.yaml")
}

func TestShippedConfigurationListensOnLoopback(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"demo.yaml", written(t, demo.Place{})} {
		if got := load(t, path).Server.Listen; got != "127.0.0.1:8080" {
			t.Errorf("%s listens on %s", path, got)
		}
	}
}

func written(t *testing.T, place demo.Place) string {
	t.Helper()
	path, err := demo.Write(t.TempDir(), place)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWrittenConfigurationHasThePlaceAddresses(t *testing.T) {
	t.Parallel()
	place := demo.Place{Gateway: "http://127.0.0.1:1111", Mux: "http://127.0.0.1:2222", Listen: "127.0.0.1:1111"}
	path, err := demo.Write(t.TempDir(), place)
	if err != nil {
		t.Fatal(err)
	}
	config := load(t, path)
	if config.Server.Listen != place.Listen {
		t.Errorf("listen = %s, want %s", config.Server.Listen, place.Listen)
	}
	for _, env := range config.Organizations[0].Environments {
		if env.Delivery.Stream != place.Mux || env.Delivery.Stats != place.Mux {
			t.Errorf("%s delivers from %+v, want %s", env.ID, env.Delivery, place.Mux)
		}
		if got, want := env.Viewers[0].JWKSURL, place.Mux+"/idp/jwks.json"; got != want {
			t.Errorf("%s reads keys at %s, want %s", env.ID, got, want)
		}
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), "127.0.0.1:808") {
		t.Error("an address of demo.yaml is left")
	}
}

func TestRulesAreReplacedWhereTheConfigurationReadsThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, err := demo.Write(dir, demo.Place{})
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.WriteRules(dir, "lockdown"); err != nil {
		t.Fatal(err)
	}
	loaded, err := configs.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(dir, "policies", "standard.yaml")
	body, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), "reason: lockdown") || !slices.Contains(loaded.Files, rules) {
		t.Errorf("the gateway reads %v, which do not hold the lockdown", loaded.Files)
	}
	if err := demo.WriteRules(dir, "../standard"); err == nil {
		t.Error("an unknown rule file is written")
	}
	if err := demo.WriteRules(filepath.Join(dir, "nowhere"), "standard"); err == nil {
		t.Error("a folder that does not exist is written to")
	}
}

// TestCatalogueIsTheConfigurations holds the page's list and the simulated Mux
// to demo.yaml: the three must speak of the same playback IDs.
func TestCatalogueIsTheConfigurations(t *testing.T) {
	t.Parallel()
	type row struct{ Environment, ID, Policy, Title, Asset, LiveStream, Status string }
	var inPage, inYAML, inMux []row
	for _, v := range demo.Videos() {
		inPage = append(inPage, row{Environment: string(v.Environment), ID: string(v.PlaybackID), Policy: string(v.Policy), Title: v.Title})
	}
	config := load(t, "demo.yaml")
	for _, env := range config.Organizations[0].Environments {
		for _, p := range env.PlaybackIDs {
			r := row{Environment: string(env.ID), ID: string(p.ID), Policy: string(p.Policy)}
			if p.Asset != nil {
				r.Asset, r.Status = string(p.Asset.ID), deref(p.Asset.Status)
				checkDuration(t, p, deref(p.Asset.Duration))
			}
			if p.LiveStream != nil {
				r.LiveStream, r.Status = string(p.LiveStream.ID), deref(p.LiveStream.Status)
			}
			inYAML = append(inYAML, r)
		}
	}
	for _, env := range demo.Edge("http://gateway.example") {
		if want := "http://gateway.example/v1/environments/" + string(env.ID) + "/jwks.json"; env.JWKSURL != want {
			t.Errorf("JWKSURL = %s, want %s", env.JWKSURL, want)
		}
		for _, p := range env.PlaybackIDs {
			inMux = append(inMux, row{
				Environment: string(env.ID), ID: string(p.ID), Policy: string(p.Policy), Asset: string(p.Asset), LiveStream: string(p.LiveStream), Status: p.Status,
			})
		}
	}
	byID := func(a, b row) int { return strings.Compare(a.ID, b.ID) }
	for _, rows := range [][]row{inPage, inYAML, inMux} {
		slices.SortFunc(rows, byID)
	}
	if diff := cmp.Diff(inYAML, inMux); diff != "" {
		t.Errorf("demo.yaml and the simulated Mux (-yaml +mux):\n%s", diff)
	}
	for i := range inPage {
		inPage[i].Title = ""
		inYAML[i].Asset, inYAML[i].LiveStream, inYAML[i].Status = "", "", ""
	}
	if diff := cmp.Diff(inYAML, inPage); diff != "" {
		t.Errorf("demo.yaml and the page (-yaml +page):\n%s", diff)
	}
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// checkDuration holds what the gateway reckons with to what the clip lasts.
func checkDuration(t *testing.T, p configs.PlaybackID, seconds float64) {
	t.Helper()
	media := muxsim.Film
	if strings.Contains(string(p.ID), "Trailer") {
		media = muxsim.Trailer
	}
	if seconds != 0 && seconds != media.Duration().Seconds() {
		t.Errorf("%s lasts %v s, its clip %s", p.ID, seconds, media.Duration())
	}
}

func TestRuleFilesPassTheirOwnTests(t *testing.T) {
	t.Parallel()
	rules, err := demo.RuleFiles()
	if err != nil {
		t.Fatal(err)
	}
	var known []*playback.Object
	for _, v := range demo.Videos() {
		known = append(known, &playback.Object{ID: v.PlaybackID, Policy: v.Policy, Known: true})
	}
	for _, file := range rules {
		report, err := policy.Test([]byte(file.Document), policy.Options{Environment: "cinema", Name: "Cinema"})
		if err != nil {
			t.Errorf("%s: %v", file.Name, err)
			continue
		}
		if report.Failures() > 0 || len(report.Uncovered()) > 0 || len(report.Tests) == 0 {
			var out strings.Builder
			_ = report.Print(&out, file.Name)
			t.Errorf("%s fails or leaves rules untested %v:\n%s", file.Name, report.Uncovered(), out.String())
		}
		warnings, err := policy.Check([]byte(file.Document), policy.Options{Environment: "cinema", Name: "Cinema"}, known)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", file.Name, err, warnings)
		}
	}
}
