package report

import (
	"time"

	"github.com/playgate/playgate/benchmarks/load"
)

// Run is everything that one run of the suite measured.
type Run struct {
	Date         time.Time  `json:"date"`
	Command      string     `json:"command"`
	Commit       string     `json:"commit"`
	Machine      Machine    `json:"machine"`
	Short        bool       `json:"short"`
	EverythingOn string     `json:"everything_on"`
	Rounds       int        `json:"rounds"`
	Scenarios    []Scenario `json:"scenarios,omitempty"` // of all rounds, in the order in which they ran
	Ratios       *Ratios    `json:"ratios,omitempty"`
}

// Ratios are what package ratio found, and its own tables.
type Ratios struct {
	Raw  any    `json:"raw"`
	Text string `json:"-"` // Markdown
}

// Scenario is one scenario, run once.
type Scenario struct {
	Name         string        `json:"name"`
	What         string        `json:"what"` // one sentence on what is done and how much of it
	Round        int           `json:"round"`
	Measurements []Measurement `json:"measurements"`
	Checks       []Check       `json:"checks"`
	Verified     load.Verdict  `json:"verified"`
	// Discarded says why earlier attempts do not count.
	Discarded []string `json:"discarded,omitempty"`
}

// Measurement is one window of load within a scenario.
type Measurement struct {
	Name   string       `json:"name"`
	Load   *load.Result `json:"load"`
	Server Server       `json:"server"`
	// Marks are moments of the timeline that the plot names.
	Marks []Mark `json:"marks,omitempty"`
}

// Mark is something that happened during a measurement.
type Mark struct {
	Second float64 `json:"second"`
	What   string  `json:"what"`
}

// Server is what the gateway used and did during a measurement, from /proc and
// from its own metrics.
type Server struct {
	CPUPerRequest    float64 `json:"cpu_us_per_request"` // utime + stime, signing and refresh-ahead included
	Cores            float64 `json:"cores"`              // the same as a share of the time: 2 = both cores
	AllocsPerRequest float64 `json:"allocs_per_request"`
	RSS              int64   `json:"rss_bytes"` // at the end
	Collections      float64 `json:"garbage_collections"`
	Signatures       float64 `json:"signatures"`        // on the path of a request
	Ahead            float64 `json:"signatures_ahead"`  // refresh-ahead and pre-signing
	Hits             float64 `json:"cache_hits"`        // tokens, as the gateway counts them
	Coalesced        float64 `json:"cache_coalesced"`   // tokens
	Misses           float64 `json:"cache_misses"`      // tokens
	Steal            float64 `json:"steal"`             // share of the machine's time, 0 to 1
	Reloads          float64 `json:"reloads,omitempty"` // of the configuration
}

// Check is a figure beside what it must be.
type Check struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Bound string `json:"bound"`
	OK    bool   `json:"ok"`
	// Must says that the check does not depend on the machine's speed: when it is
	// not met, the run fails.
	Must bool `json:"must"`
}

// Failed returns the checks that fail the run.
func (r *Run) Failed() []Check {
	var failed []Check
	for _, s := range r.Scenarios {
		for _, c := range s.Checks {
			if c.Must && !c.OK {
				failed = append(failed, c)
			}
		}
	}
	return failed
}
