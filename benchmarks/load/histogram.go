package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Class is what an answer was; see the package comment.
type Class string

// The classes.
const (
	Hit       Class = "hit"
	Coalesced Class = "coalesced"
	Miss      Class = "miss"
	Redirects Class = "redirect"
	All       Class = "all"
)

// Latencies are the figures of one class, in microseconds.
type Latencies struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	Max   float64 `json:"max_us"`
	// Curve is latency by percentile, for the plots.
	Curve []Point `json:"curve,omitempty"`
}

// Point is one point of a percentile curve.
type Point struct {
	Percentile float64 `json:"p"`
	Micros     float64 `json:"us"`
}

// newHistogram holds 1 µs to 60 s with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(1, d.Microseconds()), int64(time.Minute/time.Microsecond))) // clamped into its range
}

func curvePercentiles() []float64 {
	return []float64{0, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 100}
}

func latenciesOf(h *hdrhistogram.Histogram) Latencies {
	at := func(p float64) float64 { return float64(h.ValueAtPercentile(p)) }
	l := Latencies{
		Count: h.TotalCount(), Mean: h.Mean(), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()),
	}
	for _, p := range curvePercentiles() {
		l.Curve = append(l.Curve, Point{p, at(p)})
	}
	return l
}
