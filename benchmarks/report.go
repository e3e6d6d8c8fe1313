package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// round is one turn of every measurement.
type round struct {
	FloorBefore      result  `json:"floor_before"`
	Hit              result  `json:"hit"`
	FloorAfter       result  `json:"floor_after"`
	SignaturesBefore float64 `json:"openssl_before_per_second"`
	Miss             result  `json:"miss"`
	SignaturesAfter  float64 `json:"openssl_after_per_second"`
}

type report struct {
	options options
	rounds  []round
}

func newReport(o options) *report { return &report{options: o} }

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func (r *report) pick(f func(round) float64) float64 {
	values := make([]float64, 0, len(r.rounds))
	for _, one := range r.rounds {
		values = append(values, f(one))
	}
	return median(values)
}

// write prints the table: medians over the rounds, ratios within each round.
func (r *report) write(w io.Writer) error {
	floorOf := func(x round) float64 { return (x.FloorBefore.PerSecond + x.FloorAfter.PerSecond) / 2 }
	opensslOf := func(x round) float64 { return (x.SignaturesBefore + x.SignaturesAfter) / 2 }
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n", machine())
	fmt.Fprintf(&b, "medians of %d rounds of %s, %d connections, load generator on the same cores\n\n", len(r.rounds), r.options.window, r.options.connections)
	fmt.Fprintf(&b, "| what | per second | p50 µs | p90 µs | p99 µs | max µs |\n|---|--:|--:|--:|--:|--:|\n")
	row := func(name string, f func(round) result) {
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.0f | %.0f | %.0f |\n", name,
			r.pick(func(x round) float64 { return f(x).PerSecond }), r.pick(func(x round) float64 { return f(x).P50 }),
			r.pick(func(x round) float64 { return f(x).P90 }), r.pick(func(x round) float64 { return f(x).P99 }),
			r.pick(func(x round) float64 { return f(x).Max }))
	}
	row("bare fiber, same headers and body", func(x round) result { return x.FloorBefore })
	row("hit: GET /v1/playback-ids/{id}/token", func(x round) result { return x.Hit })
	row("miss: the same, a new playback ID each time", func(x round) result { return x.Miss })
	fmt.Fprintf(&b, "| openssl speed -multi 2 rsa2048 (signatures) | %.0f | | | | |\n\n", r.pick(opensslOf))
	fmt.Fprintf(&b, "hit / bare fiber: %.2f\n", r.pick(func(x round) float64 { return x.Hit.PerSecond / floorOf(x) }))
	fmt.Fprintf(&b, "miss / openssl:   %.2f\n", r.pick(func(x round) float64 { return x.Miss.PerSecond / opensslOf(x) }))
	_, err := io.WriteString(w, b.String())
	return err
}

// save keeps the report and the raw figures.
func (r *report) save(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("making the result folder: %w", err)
	}
	var text strings.Builder
	if err := r.write(&text); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(r.rounds, "", "  ")
	if err != nil {
		return fmt.Errorf("writing raw results: %w", err)
	}
	for name, content := range map[string]string{"report.md": text.String(), "raw.json": string(raw) + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// machine describes where and what was measured.
func machine() string {
	cpu := "unknown CPU"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.SplitSeq(string(info), "\n") {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				cpu = strings.TrimLeft(name, "\t :")
				break
			}
		}
	}
	revision := "unknown commit"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return fmt.Sprintf("%s, %d × %s, %s, %s, %s", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), cpu, runtime.GOOS, runtime.Version(), revision)
}
