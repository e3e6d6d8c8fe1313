package ratio

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/playgate/playgate/benchmarks/peers"
	"github.com/playgate/playgate/benchmarks/world"
)

// Window is one measurement.
type Window struct {
	Requests  int64   `json:"requests,omitempty"`
	PerSecond float64 `json:"per_second"` // requests, or signatures
	P50       float64 `json:"p50_us,omitempty"`
	P99       float64 `json:"p99_us,omitempty"`
	CPU       float64 `json:"cpu_us"` // the server's, with its children, per request or signature
	Steal     float64 `json:"steal"`  // share of the machine's time, 0 to 1
}

// Series are the windows of one contender, a round each; a floor has one more,
// after the last round.
type Series struct {
	Name        string   `json:"name"`
	Connections int      `json:"connections,omitempty"` // 0: it signs in a loop
	Tokens      int      `json:"tokens,omitempty"`      // a request's; 0: one
	Windows     []Window `json:"windows"`
}

// Ratio compares two series, round by round, tokens with tokens.
type Ratio struct {
	Name   string    `json:"name"`
	Need   float64   `json:"need,omitempty"` // what the median must reach, 0 nothing
	Rounds []float64 `json:"rounds"`
	Median float64   `json:"median"`
	CPU    float64   `json:"cpu"` // the same of CPU time per token, turned round: above 1, the first needs less
}

// Result is what a run found.
type Result struct {
	Rounds    int      `json:"rounds"`
	Seconds   float64  `json:"window_seconds"`
	Discarded int      `json:"windows_discarded"` // for stolen time, and measured again
	Stolen    int      `json:"windows_stolen"`    // kept although time was stolen
	Settings  string   `json:"settings"`          // Markdown: what "everything on" was
	Ratios    []Ratio  `json:"ratios"`
	Series    []Series `json:"series"`
}

// pair says which two series make a figure.
type pair struct {
	name, over, under string
	need              float64
}

func (b *bench) pairs() []pair {
	need, by := missesNeed(b.backend), " ("+b.backend+" signs)"
	floors := []pair{
		{"hit / bare fiber", hitSeries, peers.Fiber.Title(), 0.70},
		{"miss / openssl speed" + by, missSeries, opensslSeries, need},
		{"bundle of 4 missing types / a quarter of openssl speed" + by, bundleSeries, opensslSeries, need},
	}
	if !b.Peers {
		return floors
	}
	return append(floors,
		pair{"hit / net/http + golang-jwt + LRU", hitSeries, peers.GoLRU.Title(), 1},
		pair{"hit / fastify + jose + LRU", hitSeries, peers.FastifyLRU.Title(), 1},
		pair{"hit / Express + @mux/mux-node + LRU", hitSeries, peers.ExpressLRU.Title(), 1},
		pair{"miss / fastify + jose", missSeries, peers.Fastify.Title(), 1},
		pair{"miss / net/http + golang-jwt", missSeries, peers.Go.Title(), 0},
		pair{"miss / Express + @mux/mux-node", missSeries, peers.Express.Title(), 0},
		pair{"miss / crypto/rsa in a loop", missSeries, goSeries, 0},
		pair{"bare fiber / nginx, static file", peers.Fiber.Title(), peers.Nginx.Title(), 0},
		pair{"new viewer tokens / HAProxy jwt_verify", newSeries, peers.HAProxy.Title(), 0},
		pair{"remembered viewer tokens / HAProxy jwt_verify", rememberedSeries, peers.HAProxy.Title(), 0},
	)
}

// result draws the figures from the windows.
func (b *bench) result(groups [][]*contender) *Result {
	r := &Result{
		Rounds: b.Rounds, Seconds: b.Window.Seconds(), Discarded: b.discarded, Stolen: b.stolen, Settings: b.settings(),
	}
	by := map[string]*Series{}
	for _, g := range groups {
		for _, one := range g {
			r.Series = append(r.Series, one.series)
			by[one.series.Name] = &one.series
		}
	}
	for _, p := range b.pairs() {
		r.Ratios = append(r.Ratios, compare(p, by[p.over], by[p.under], b.Rounds))
	}
	return r
}

func compare(p pair, over, under *Series, rounds int) Ratio {
	ratio := Ratio{Name: p.name, Need: p.need}
	var cpu []float64
	for n := range rounds {
		a, b := over.round(n, rounds), under.round(n, rounds)
		ratio.Rounds = append(ratio.Rounds, a.PerSecond/b.PerSecond)
		cpu = append(cpu, b.CPU/a.CPU)
	}
	ratio.Median, ratio.CPU = median(ratio.Rounds), median(cpu)
	return ratio
}

// round returns a round's throughput and CPU time per token; a floor's are the
// mean of the windows before and after the round.
func (s *Series) round(n, rounds int) Window {
	tokens := float64(max(1, s.Tokens))
	w := s.Windows[n]
	if len(s.Windows) > rounds {
		next := s.Windows[n+1]
		w.PerSecond, w.CPU = (w.PerSecond+next.PerSecond)/2, (w.CPU+next.CPU)/2
	}
	return Window{PerSecond: w.PerSecond * tokens, CPU: w.CPU / tokens}
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Failed returns what lies below the bar it must reach.
func (r *Result) Failed() []Ratio {
	var failed []Ratio
	for _, one := range r.Ratios {
		if one.Median < one.Need {
			failed = append(failed, one)
		}
	}
	return failed
}

// Markdown is the report: ratios, absolute figures, and what was on.
func (r *Result) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Closed loop, wrk with %d threads on the same cores, %d rounds of %.0f s windows, %d cores; each ratio lies within one round. ",
		threads(), r.Rounds, r.Seconds, runtime.NumCPU())
	fmt.Fprintf(&b, "%d windows were discarded for stolen time and measured again, %d kept in spite of it.\n\n", r.Discarded, r.Stolen)
	fmt.Fprintf(&b, "| figure | must reach | median | each round | by CPU time |\n|---|--:|--:|---|--:|\n")
	for _, one := range r.Ratios {
		need := ""
		if one.Need > 0 {
			need = fmt.Sprintf("%.2f", one.Need)
		}
		rounds := make([]string, 0, len(one.Rounds))
		for _, value := range one.Rounds {
			rounds = append(rounds, fmt.Sprintf("%.2f", value))
		}
		fmt.Fprintf(&b, "| %s | %s | **%.2f** | %s | %.2f |\n", one.Name, need, one.Median, strings.Join(rounds, " "), one.CPU)
	}
	fmt.Fprintf(&b, "\n\"By CPU time\": how much less CPU time the first server needs for a token than the second. Medians:\n\n")
	fmt.Fprintf(&b, "| measured | connections | per second | p50 µs | p99 µs | server CPU µs each |\n|---|--:|--:|--:|--:|--:|\n")
	for _, one := range r.Series {
		pick := func(of func(Window) float64) float64 {
			values := make([]float64, 0, len(one.Windows))
			for _, w := range one.Windows {
				values = append(values, of(w))
			}
			return median(values)
		}
		cells := "| | |"
		if one.Connections > 0 {
			cells = fmt.Sprintf("| %.0f | %.0f |", pick(func(w Window) float64 { return w.P50 }), pick(func(w Window) float64 { return w.P99 }))
		}
		connections := strings.TrimPrefix(fmt.Sprint(one.Connections), "0")
		fmt.Fprintf(&b, "| %s | %s | %.0f %s %.1f |\n", one.Name, connections, pick(func(w Window) float64 { return w.PerSecond }), cells, pick(func(w Window) float64 { return w.CPU }))
	}
	return b.String() + "\n" + r.Settings
}

// settings says what "everything on" was: the configuration and rules in force,
// and the headers of an answer.
func (b *bench) settings() string {
	var s strings.Builder
	fmt.Fprintf(&s, "Everything on: %s. Hits: one viewer, one playback ID. Misses and bundles: %d viewers in turn, another playback ID each time. ", world.EverythingOn, missConnections)
	fmt.Fprintf(&s, "An answer has %d bytes and these headers: %s. Floors and peers get the same requests.\n", len(b.answer.Body), strings.Join(headerNames(b.answer.Header), ", "))
	for _, name := range []string{"playgate.yaml", "rules.yaml"} {
		content, err := os.ReadFile(filepath.Join(b.Dir, "gateway", name)) //nolint:gosec // in the run's own folder
		if err != nil {
			content = []byte(err.Error())
		}
		fmt.Fprintf(&s, "\n```yaml\n%s\n```\n", strings.TrimSpace(string(content)))
	}
	return s.String()
}

func headerNames(h http.Header) []string {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
