package report

import (
	"fmt"
	"html"
	"strings"

	"github.com/playgate/playgate/benchmarks/load"
)

// HTML returns a page that stands alone: two plots for each scenario of the first
// round, latency by percentile and p99 by second, and the tables as text.
func (r *Run) HTML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Playgate benchmarks, %s</title>\n", html.EscapeString(r.Commit))
	b.WriteString("<style>body{font-family:sans-serif;max-width:60em;margin:2em auto}pre{overflow-x:auto;font-size:11px}</style>\n<h1>Playgate benchmarks</h1>\n")
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		if s.Round != 1 || len(s.Measurements) == 0 {
			continue
		}
		fmt.Fprintf(&b, "<h2>%s</h2>\n<p>%s.</p>\n", html.EscapeString(s.Name), html.EscapeString(s.What))
		b.WriteString(s.curves().svg())
		if timeline := s.timeline(); len(timeline.lines) > 0 {
			b.WriteString(timeline.svg())
		}
	}
	fmt.Fprintf(&b, "<h2>Tables</h2>\n<pre>%s</pre>\n</html>\n", html.EscapeString(r.Markdown()))
	return b.String()
}

// curves plots latency by percentile, a line for each measurement and class.
func (s *Scenario) curves() *plot {
	p := &plot{title: "latency by percentile", ticks: ninesTicks()}
	for _, m := range s.Measurements {
		for _, class := range classes() {
			l, ok := m.Load.Classes[class]
			if !ok || l.Count == 0 || class == load.All && len(m.Load.Classes) == 2 {
				continue
			}
			drawn := line{name: m.Name + ": " + string(class)}
			for _, at := range l.Curve {
				drawn.points = append(drawn.points, point{nines(at.Percentile), at.Micros})
			}
			p.lines = append(p.lines, drawn)
		}
	}
	return p
}

// timeline plots the p99 of each second; measurements of one scenario follow
// each other.
func (s *Scenario) timeline() *plot {
	p := &plot{title: "p99 by second"}
	at := 0
	for _, m := range s.Measurements {
		drawn := line{name: m.Name}
		for _, slot := range m.Load.Timeline {
			drawn.points = append(drawn.points, point{float64(at + slot.Second), slot.P99})
		}
		for _, mark := range m.Marks {
			p.marks = append(p.marks, tick{float64(at) + mark.Second, mark.What})
		}
		if len(drawn.points) > 1 {
			p.lines = append(p.lines, drawn)
		}
		at += len(m.Load.Timeline)
	}
	p.ticks = secondsTicks(at)
	return p
}
