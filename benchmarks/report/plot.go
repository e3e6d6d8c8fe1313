package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// line is one line of a plot.
type line struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// plot is an SVG diagram with a logarithmic y axis in microseconds.
type plot struct {
	title string
	lines []line
	ticks []tick // of the x axis
	marks []tick // vertical lines
}

type tick struct {
	x    float64
	text string
}

// Pixels of a plot and of the frame within it.
const (
	width, height = 720.0, 300.0
	left, right   = 60.0, 200.0
	top, bottom   = 28.0, 36.0
)

func colour(n int) string {
	colours := []string{"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"}
	return colours[n%len(colours)]
}

// bounds returns the extent of the data, y in whole powers of ten.
func (p *plot) bounds() (x0, x1, y0, y1 float64) {
	x0, x1, y0, y1 = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, l := range p.lines {
		for _, at := range l.points {
			x0, x1 = min(x0, at.x), max(x1, at.x)
			y0, y1 = min(y0, at.y), max(y1, at.y)
		}
	}
	y0, y1 = math.Floor(math.Log10(max(1, y0))), math.Ceil(math.Log10(max(10, y1)))
	return x0, max(x1, x0+1), y0, max(y1, y0+1)
}

func (p *plot) svg() string {
	x0, x1, y0, y1 := p.bounds()
	x := func(v float64) float64 { return left + (v-x0)/(x1-x0)*(width-left-right) }
	y := func(v float64) float64 {
		return height - bottom - (math.Log10(max(1, v))-y0)/(y1-y0)*(height-top-bottom)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" width="%g" height="%g" role="img" font-family="sans-serif" font-size="11">`, width, height, width, height)
	fmt.Fprintf(&b, `<text x="%g" y="16" font-size="13">%s</text>`, left, html.EscapeString(p.title))
	for power := y0; power <= y1; power++ {
		at := y(math.Pow(10, power))
		fmt.Fprintf(&b, `<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`,
			left, width-right, at, at, left-6, at+4, duration(math.Pow(10, power)))
	}
	for _, t := range p.ticks {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle">%s</text>`, x(t.x), height-bottom+16, html.EscapeString(t.text))
	}
	for _, t := range p.marks {
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%g" y2="%g" stroke="#888" stroke-dasharray="4 3"><title>%s</title></line>`,
			x(t.x), x(t.x), top, height-bottom, html.EscapeString(t.text))
	}
	for n, l := range p.lines {
		var path []string
		for _, at := range l.points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(at.x), y(at.y)))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`, colour(n), strings.Join(path, " "))
		fmt.Fprintf(&b, `<text x="%g" y="%g" fill="%s">%s</text>`, width-right+8, top+12+float64(n)*15, colour(n), html.EscapeString(l.name))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// duration writes a power of ten of microseconds.
func duration(micros float64) string {
	switch {
	case micros >= 1e6:
		return fmt.Sprintf("%g s", micros/1e6)
	case micros >= 1e3:
		return fmt.Sprintf("%g ms", micros/1e3)
	}
	return fmt.Sprintf("%g µs", micros)
}

// nines places a percentile on an axis on which each further nine takes equal room.
func nines(percentile float64) float64 { return -math.Log10(1 - min(percentile, 99.995)/100) }

func ninesTicks() []tick {
	var ticks []tick
	for _, p := range []float64{0, 90, 99, 99.9, 99.99} {
		ticks = append(ticks, tick{nines(p), fmt.Sprintf("p%g", p)})
	}
	return ticks
}

func secondsTicks(until int) []tick {
	var ticks []tick
	step := max(1, (until+9)/10)
	for s := 0; s <= until; s += step {
		ticks = append(ticks, tick{float64(s), fmt.Sprintf("%d s", s)})
	}
	return ticks
}
