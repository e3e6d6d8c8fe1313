package report_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
)

var update = flag.Bool("update", false, "write testdata anew")

// latencies are those of one class.
func latencies(count int64, p50 float64) load.Latencies {
	return load.Latencies{
		Count: count, Mean: p50, P50: p50, P90: 2 * p50, P99: 5 * p50, P999: 8 * p50, Max: 10 * p50,
		Curve: []load.Point{{Percentile: 0, Micros: p50 / 2}, {Percentile: 50, Micros: p50}, {Percentile: 99, Micros: 5 * p50}, {Percentile: 100, Micros: 10 * p50}},
	}
}

// sample is a run of two rounds of one scenario.
func sample() *report.Run {
	run := &report.Run{
		Date: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Command: "go run .", Commit: "0123456789ab", Short: true, Rounds: 2,
		Machine: report.Machine{CPU: "Reference CPU", Cores: 2, Kernel: "linux 6.1", Go: "go1.26.0"}, EverythingOn: "all of it",
	}
	for round := 1; round <= 2; round++ {
		speed := float64(round)
		run.Scenarios = append(run.Scenarios, report.Scenario{
			Name: "mixed", What: "a <mixture>", Round: round, Verified: load.Verdict{Tokens: 40},
			Discarded: []string{"time was stolen"}[:round-1],
			Measurements: []report.Measurement{{
				Name: "mixed 95/5, 60 % of capacity",
				Load: &load.Result{
					Offered: 1000, Achieved: 990, Answers: 100,
					Classes:  map[load.Class]load.Latencies{load.All: latencies(100, 200*speed), load.Hit: latencies(95, 200*speed), load.Miss: latencies(5, 900*speed)},
					Lag:      latencies(100, 10),
					Timeline: []load.Slot{{Second: 0, Count: 50, P99: 1000 * speed}, {Second: 1, Count: 50, P99: 1200 * speed}},
				},
				Server: report.Server{CPUPerRequest: 20 * speed, Cores: 0.5, AllocsPerRequest: 6, RSS: 100e6, Signatures: 5, Hits: 95, Misses: 5},
				Marks:  []report.Mark{{Second: 1, What: "something happened"}},
			}},
			Checks: []report.Check{
				{Name: "signatures", Value: "5", Bound: "1", Must: true, OK: round == 1},
				{Name: "speed", Value: "slow", Bound: "fast"},
			},
		})
	}
	return run
}

// TestAReportLoadsNothing: a report is read years later, and where there is no
// network.
func TestAReportLoadsNothing(t *testing.T) {
	t.Parallel()
	page := strings.ToLower(sample().HTML())
	for _, loads := range []string{"<script", "<link", "<iframe", "src=", "href=", "url(", "@import"} {
		if strings.Contains(page, loads) {
			t.Errorf("the page has %s", loads)
		}
	}
}

func TestReportsAreAsBefore(t *testing.T) {
	t.Parallel()
	for name, got := range map[string]string{"report.md": sample().Markdown(), "benchmarks.txt": sample().Benchstat(), "report.html": sample().HTML()} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got), -update writes it anew:\n%s", name, diff)
		}
	}
}

func TestThePageIsWellFormedAndHoldsItsPlots(t *testing.T) {
	t.Parallel()
	page := sample().HTML()
	plots := strings.Count(page, "<svg")
	if plots != 2 {
		t.Errorf("%d plots, want the percentiles and the seconds of one round", plots)
	}
	for range plots {
		_, rest, _ := strings.Cut(page, "<svg")
		svg, after, _ := strings.Cut(rest, "</svg>")
		page = after
		decoder := xml.NewDecoder(strings.NewReader("<svg" + svg + "</svg>"))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("reading a plot: %v", err)
			}
		}
	}
}

func TestOnlyChecksThatDoNotDependOnSpeedFailTheRun(t *testing.T) {
	t.Parallel()
	failed := sample().Failed()
	if len(failed) != 1 || failed[0].Name != "signatures" {
		t.Errorf("Failed = %v, want the signatures of the second round", failed)
	}
}

func TestASavedRunCanBeReadAgain(t *testing.T) {
	t.Parallel()
	dir, err := sample().Save(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if want := "2026-11-23-0123456789ab"; filepath.Base(dir) != want {
		t.Errorf("the folder is %s, want %s", filepath.Base(dir), want)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "raw.json"))
	if err != nil {
		t.Fatal(err)
	}
	var again report.Run
	if err := json.Unmarshal(raw, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample().Markdown(), again.Markdown()); diff != "" {
		t.Errorf("its report (-want +got):\n%s", diff)
	}
}
