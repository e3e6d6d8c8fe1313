package e2e_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// soakSamples is how often a soak test looks at what the gateway uses.
const soakSamples = 60

// usage is what a gateway used at equal intervals.
type usage struct{ memory, goroutines, descriptors []float64 }

// add reads what the gateway says of itself.
func (u *usage) add(t *testing.T, g *gateway) {
	t.Helper()
	text := string(must(t, http.MethodGet, g.admin+"/metrics", "").body)
	for name, series := range map[string]*[]float64{
		"process_resident_memory_bytes": &u.memory, "go_goroutines": &u.goroutines, "process_open_fds": &u.descriptors,
	} {
		_, rest, ok := strings.Cut(text, "\n"+name+" ")
		value, _, _ := strings.Cut(rest, "\n")
		v, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			t.Fatalf("the metric %s: %q, %v", name, value, err)
		}
		*series = append(*series, v)
	}
}

// grown says what has grown and goes on growing.
func (u *usage) grown() (out []string) {
	for _, one := range []struct {
		name   string
		series []float64
		noise  float64
	}{
		{"resident memory", u.memory, 4 << 20},
		{"goroutines", u.goroutines, 16},
		{"descriptors", u.descriptors, 16},
	} {
		if first, second, grows := growth(one.series, one.noise); grows {
			out = append(out, fmt.Sprintf("%s grows and does not level off: by %.0f in the first half and by %.0f in the second, to %.0f",
				one.name, first, second, one.series[len(one.series)-1]))
		}
	}
	return out
}

// growth returns by how much a series grows in its first and its second half, and
// whether that is growth which does not level off: more in the second half than the
// noise, and more than half of that in the first. The noise is at least 3 % of the
// middle value. The first fifth, in which caches fill, does not count.
func growth(series []float64, noise float64) (first, second float64, grows bool) {
	series = series[len(series)/5:]
	half := len(series) / 2
	first = slope(series[:half]) * float64(half)
	second = slope(series[half:]) * float64(len(series)-half)
	noise = max(noise, 0.03*median(slices.Clone(series)))
	return first, second, second > noise && second > first/2
}

// slope returns the Theil-Sen estimate: the median slope of all pairs of points,
// which peaks and garbage collections do not move.
func slope(series []float64) float64 {
	var all []float64
	for i := range series {
		for j := i + 1; j < len(series); j++ {
			all = append(all, (series[j]-series[i])/float64(j-i))
		}
	}
	return median(all)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// TestGrowthIsToldFromNoise checks the rule by which a soak test fails.
func TestGrowthIsToldFromNoise(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at    func(n float64) float64 // MiB, n in [0, soakSamples)
		grows bool
	}{
		"constant":                   {func(float64) float64 { return 100 }, false},
		"a sawtooth":                 {func(n float64) float64 { return 100 + math.Mod(n, 7)*3 }, false},
		"noise":                      {func(n float64) float64 { return 100 + 5*math.Sin(n*n) }, false},
		"a cache that fills":         {func(n float64) float64 { return 60 + 60*(1-math.Exp(-n/8)) }, false},
		"a cache that fills late":    {func(n float64) float64 { return 60 + min(2*n, 60) }, false},
		"a step":                     {func(n float64) float64 { return 100 + 40*math.Floor(n/45) }, false},
		"a peak":                     {func(n float64) float64 { return 100 + 80*math.Exp(-(n-40)*(n-40)/4) }, false},
		"memory that is given back":  {func(n float64) float64 { return 200 - n }, false},
		"a leak":                     {func(n float64) float64 { return 60 + n }, true},
		"a slow leak":                {func(n float64) float64 { return 60 + n/4 }, true},
		"a leak under a sawtooth":    {func(n float64) float64 { return 60 + n/2 + math.Mod(n, 7)*2 }, true},
		"a leak that begins late":    {func(n float64) float64 { return 60 + max(0, n-30) }, true},
		"a leak behind a cache":      {func(n float64) float64 { return 60 + 60*(1-math.Exp(-n/4)) + n/2 }, true},
		"a leak that becomes faster": {func(n float64) float64 { return 60 + n*n/100 }, true},
	} {
		var series []float64
		for n := range soakSamples {
			series = append(series, c.at(float64(n))*(1<<20))
		}
		if first, second, grows := growth(series, 4<<20); grows != c.grows {
			t.Errorf("%s: grows = %v (by %.1f, then %.1f MiB), want %v", name, grows, first/(1<<20), second/(1<<20), c.grows)
		}
	}
}
