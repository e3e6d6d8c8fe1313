package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/playgate/playgate/benchmarks/load"
)

// Markdown returns the tables: medians over the rounds, by measurement and class.
func (r *Run) Markdown() string {
	var b strings.Builder
	form := "full"
	if r.Short {
		form = "short"
	}
	fmt.Fprintf(&b, "%s, %d × %s, %s, %s, commit %s, `%s` (%s form, medians of %d rounds). Load generator on the same cores. Everything on: %s.\n\n",
		r.Date.UTC().Format(time.DateOnly), r.Machine.Cores, r.Machine.CPU, r.Machine.Kernel, r.Machine.Go, r.Commit, r.Command, form, r.Rounds, r.EverythingOn)
	if len(r.Scenarios) > 0 {
		r.writeLatencies(&b)
		r.writeServer(&b)
		r.writeChecks(&b)
		r.writeScenarios(&b)
	}
	if r.Ratios != nil {
		b.WriteString("\n" + r.Ratios.Text)
	}
	return b.String()
}

// names returns the measurements' names, in order.
func (r *Run) names() []string {
	var names []string
	for _, s := range r.Scenarios {
		for _, m := range s.Measurements {
			if !slices.Contains(names, m.Name) {
				names = append(names, m.Name)
			}
		}
	}
	return names
}

// all returns the measurements of a name, one a round.
func (r *Run) all(name string) []*Measurement {
	var found []*Measurement
	for i := range r.Scenarios {
		for j := range r.Scenarios[i].Measurements {
			if m := &r.Scenarios[i].Measurements[j]; m.Name == name {
				found = append(found, m)
			}
		}
	}
	return found
}

// median returns the median of a figure over measurements.
func median(of []*Measurement, figure func(*Measurement) float64) float64 {
	values := make([]float64, 0, len(of))
	for _, m := range of {
		values = append(values, figure(m))
	}
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func classes() []load.Class {
	return []load.Class{load.All, load.Hit, load.Coalesced, load.Miss, load.Redirects}
}

func (r *Run) writeLatencies(b *strings.Builder) {
	b.WriteString("| measured | class | offered/s | answers/s | p50 µs | p90 µs | p99 µs | p99.9 µs | max µs |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, name := range r.names() {
		of := r.all(name)
		for _, class := range classes() {
			with := slices.DeleteFunc(slices.Clone(of), func(m *Measurement) bool { return m.Load.Classes[class].Count == 0 })
			if len(with) == 0 || class != load.All && with[0].Load.Classes[class].Count == with[0].Load.Answers && len(with[0].Load.Classes) == 2 {
				continue // the only class: the line of all says the same
			}
			pick := func(f func(load.Latencies) float64) float64 {
				return median(with, func(m *Measurement) float64 { return f(m.Load.Classes[class]) })
			}
			offered := "closed loop"
			if o := median(with, func(m *Measurement) float64 { return m.Load.Offered }); o > 0 {
				offered = fmt.Sprintf("%.0f", o)
			}
			rate := median(with, func(m *Measurement) float64 {
				return m.Load.Achieved * float64(m.Load.Classes[class].Count) / float64(max(1, m.Load.Answers))
			})
			title := name
			if class != load.All {
				title, offered = "", ""
			}
			fmt.Fprintf(b, "| %s | %s | %s | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f |\n", title, class, offered, rate,
				pick(func(l load.Latencies) float64 { return l.P50 }), pick(func(l load.Latencies) float64 { return l.P90 }),
				pick(func(l load.Latencies) float64 { return l.P99 }), pick(func(l load.Latencies) float64 { return l.P999 }),
				pick(func(l load.Latencies) float64 { return l.Max }))
		}
	}
	b.WriteString("\nLatency is counted from the moment at which a request was due.\n\n")
}

func (r *Run) writeServer(b *strings.Builder) {
	b.WriteString("| measured | CPU µs/request | cores | allocations/request | RSS MB | collections | signatures | ahead | tokens hit/coalesced/missed | errors | generator lag p99 µs | steal % |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, name := range r.names() {
		of := r.all(name)
		pick := func(f func(*Server) float64) float64 {
			return median(of, func(m *Measurement) float64 { return f(&m.Server) })
		}
		fmt.Fprintf(b, "| %s | %.1f | %.2f | %.1f | %.0f | %.0f | %.0f | %.0f | %.0f/%.0f/%.0f | %.0f | %.0f | %.1f |\n", name,
			pick(func(s *Server) float64 { return s.CPUPerRequest }), pick(func(s *Server) float64 { return s.Cores }),
			pick(func(s *Server) float64 { return s.AllocsPerRequest }), pick(func(s *Server) float64 { return float64(s.RSS) / 1e6 }),
			pick(func(s *Server) float64 { return s.Collections }), pick(func(s *Server) float64 { return s.Signatures }),
			pick(func(s *Server) float64 { return s.Ahead }), pick(func(s *Server) float64 { return s.Hits }),
			pick(func(s *Server) float64 { return s.Coalesced }), pick(func(s *Server) float64 { return s.Misses }),
			median(of, func(m *Measurement) float64 { return float64(m.Load.Errors) }),
			median(of, func(m *Measurement) float64 { return m.Load.Lag.P99 }), pick(func(s *Server) float64 { return 100 * s.Steal }))
	}
	b.WriteString("\nCPU and allocations are the whole gateway's, signing included, over the answers of that line.\n\n")
}

func (r *Run) writeChecks(b *strings.Builder) {
	b.WriteString("| check | round | value | must be | |\n|---|--:|---|---|---|\n")
	for _, s := range r.Scenarios {
		for _, c := range s.Checks {
			verdict := "ok"
			if !c.OK {
				verdict = "**MISSED**"
			}
			fmt.Fprintf(b, "| %s | %d | %s | %s | %s |\n", c.Name, s.Round, c.Value, c.Bound, verdict)
		}
	}
	b.WriteString("\n")
}

func (r *Run) writeScenarios(b *strings.Builder) {
	tokens, discarded := 0, 0
	for _, s := range r.Scenarios {
		tokens += s.Verified.Tokens
		discarded += len(s.Discarded)
		if s.Round == 1 {
			fmt.Fprintf(b, "- **%s**: %s.\n", s.Name, s.What)
		}
	}
	fmt.Fprintf(b, "\nEvery token received was verified by muxsim's rules (%d distinct ones). Attempts discarded and repeated, for stolen time or a generator that fell behind: %d.\n", tokens, discarded)
	if discarded > 0 {
		b.WriteString("\n")
	}
	for _, s := range r.Scenarios {
		for _, why := range s.Discarded {
			fmt.Fprintf(b, "- %s, round %d: %s\n", s.Name, s.Round, why)
		}
	}
}
