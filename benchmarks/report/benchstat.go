package report

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/playgate/playgate/benchmarks/load"
)

// Benchstat returns the run in the format of Go benchmarks: a line for each
// measurement of each round, so that benchstat compares two runs.
func (r *Run) Benchstat() string {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: linux\npkg: github.com/playgate/playgate/benchmarks\ncpu: %s\ncommit: %s\n", r.Machine.CPU, r.Commit)
	for _, s := range r.Scenarios {
		for _, m := range s.Measurements {
			all := m.Load.Classes[load.All]
			fmt.Fprintf(&b, "Benchmark%s-%d\t%d\t%.0f answers/s\t%.0f p50-µs\t%.0f p99-µs\t%.0f p99.9-µs\t%.2f cpu-µs/op\t%.2f allocs/op\t%.0f rss-B\n",
				benchmarkName(m.Name), r.Machine.Cores, max(1, all.Count), m.Load.Achieved, all.P50, all.P99, all.P999,
				m.Server.CPUPerRequest, m.Server.AllocsPerRequest, float64(m.Server.RSS))
		}
	}
	return b.String()
}

// benchmarkName makes one word, in capitals at each beginning.
func benchmarkName(name string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		runes := []rune(word)
		runes[0] = unicode.ToUpper(runes[0])
		b.WriteString(string(runes))
	}
	return b.String()
}
