package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Config describes one run.
type Config struct {
	Address     string        // required: host:port of the gateway
	Source      Source        // required: what to ask
	Viewers     []string      // required: Authorization headers, by Request.Viewer
	Ledger      *Ledger       // required: takes down the tokens
	PerSecond   float64       // requests per second, open loop; 0: closed loop
	Length      time.Duration // how long requests are sent
	Requests    uint64        // the most to send; 0: as many as fit
	Connections int           // open loop: the most at once, 0: 256, what is due beyond waits and is charged for it; closed loop: callers, 0: 32
	// Burst says that the rate is beyond what anybody can answer, on purpose: the
	// generator may fall behind.
	Burst bool
	// Hot has answers marked miss for these playback IDs counted, as
	// Result.HotMisses.
	Hot map[uint32]bool
}

// Result is what one run gave.
type Result struct {
	Offered  float64             `json:"offered_per_second"` // 0: closed loop
	Achieved float64             `json:"achieved_per_second"`
	Answers  int64               `json:"answers"`
	Errors   int64               `json:"errors"`
	Classes  map[Class]Latencies `json:"classes"`
	// Lag is how much later than due requests were sent though a connection was
	// free: the generator's own part of all latencies.
	Lag       Latencies `json:"generator_lag"`
	Peak      int64     `json:"peak_in_flight"`
	Starved   int64     `json:"sent_when_all_connections_were_busy"`
	HotMisses int64     `json:"hot_misses"`
	Timeline  []Slot    `json:"timeline"`

	firstError error
	elapsed    time.Duration
}

// Slot is one second of a run, by the time at which requests were due.
type Slot struct {
	Second int     `json:"second"`
	Count  int64   `json:"count"`
	P50    float64 `json:"p50_us"`
	P99    float64 `json:"p99_us"`
	Max    float64 `json:"max_us"`
	Misses int64   `json:"misses"` // answers that were not from the cache
}

// Elapsed returns how long the run took, to its last answer.
func (r *Result) Elapsed() time.Duration { return r.elapsed }

// ErrBehind says that the generator did not keep its schedule, so its figures
// are not the gateway's.
var ErrBehind = errors.New("the load generator fell behind its schedule")

// A generator is behind when it is late as a rule, or ends late. A machine that
// it shares with the gateway makes single requests late too; that is charged to
// the gateway and flatters nobody.
const (
	maxMedianLag = time.Millisecond
	maxEndLag    = 250 * time.Millisecond
)

// run is a run under way.
type run struct {
	config   *Config
	schedule *schedule
	inFlight atomic.Int64
	peak     atomic.Int64
	hot      atomic.Int64

	mu                sync.Mutex
	classes           map[Class]*hdrhistogram.Histogram // guarded by mu
	lag               *hdrhistogram.Histogram           // guarded by mu
	slots             []*slot                           // guarded by mu
	errors            int64                             // guarded by mu
	first             error                             // guarded by mu
	last              time.Time                         // guarded by mu: of the last answer
	starved           int64                             // guarded by mu: requests sent when all connections were busy
	lastDue, lastSent time.Time                         // guarded by mu: of the last request
}

type slot struct {
	h      *hdrhistogram.Histogram
	misses int64
}

// Run puts the load on and returns when the last answer has come. One wrong
// answer is an error, as is a generator that fell behind (ErrBehind); the
// result is returned beside it.
func Run(ctx context.Context, c Config) (*Result, error) {
	if c.Connections == 0 {
		c.Connections = 256
		if c.PerSecond == 0 {
			c.Connections = 32
		}
	}
	workers := uint64(c.Connections) //nolint:gosec // positive
	s, err := newSchedule(&c)
	if err != nil {
		return nil, err
	}
	r := &run{config: &c, schedule: s, classes: map[Class]*hdrhistogram.Histogram{All: newHistogram()}, lag: newHistogram()}
	t := newTransport(r, &c)
	defer t.client.CloseIdleConnections()
	attacker := vegeta.NewAttacker(
		vegeta.Client(&http.Client{Transport: t}), vegeta.Workers(workers), vegeta.MaxWorkers(workers),
	)
	stop := context.AfterFunc(ctx, func() { attacker.Stop() })
	defer stop()
	target := vegeta.Target{Method: http.MethodGet, URL: "http://" + c.Address + "/"}
	for range attacker.Attack(func(to *vegeta.Target) error { *to = target; return nil }, r.schedule, 0, "") { // the transport has recorded it
	}
	if err := errors.Join(s.close(), ctx.Err()); err != nil {
		return nil, fmt.Errorf("putting load on: %w", err)
	}
	return r.result()
}

func (r *run) sent(seq uint64, at time.Time) {
	n := r.inFlight.Add(1)
	for peak := r.peak.Load(); n > peak && !r.peak.CompareAndSwap(peak, n); peak = r.peak.Load() { //nolint:revive // tries again
	}
	due := r.schedule.due(seq, at)
	lag := at.Sub(due)
	r.mu.Lock()
	defer r.mu.Unlock()
	if due.After(r.lastDue) {
		r.lastDue, r.lastSent = due, at
	}
	if n*10 >= int64(r.config.Connections)*9 {
		r.starved++
		return // all connections wait for the gateway: not the generator's fault
	}
	record(r.lag, lag)
}

func (r *run) answered(seq uint64, sent time.Time, class Class, err error) {
	r.inFlight.Add(-1)
	now := time.Now()
	due := r.schedule.due(seq, sent)
	took := now.Sub(due)
	second := int(due.Sub(r.schedule.start) / time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = now
	if err != nil {
		if r.errors++; r.first == nil {
			r.first = err
		}
		return
	}
	h := r.classes[class]
	if h == nil {
		h = newHistogram()
		r.classes[class] = h
	}
	record(h, took)
	record(r.classes[All], took)
	for len(r.slots) <= second {
		r.slots = append(r.slots, &slot{h: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 2)})
	}
	record(r.slots[second].h, took)
	if class == Miss || class == Coalesced {
		r.slots[second].misses++
	}
}

// missed notes an answer of any kind that was not from the cache.
func (r *run) missed(id uint32) {
	if r.config.Hot[id] {
		r.hot.Add(1)
	}
}

func (r *run) result() (*Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := &Result{Errors: r.errors, firstError: r.first, Classes: map[Class]Latencies{}, Lag: latenciesOf(r.lag), Peak: r.peak.Load(), Starved: r.starved, HotMisses: r.hot.Load()}
	res.Answers = r.classes[All].TotalCount()
	res.elapsed = r.last.Sub(r.schedule.start)
	res.Achieved = float64(res.Answers) / max(res.elapsed, time.Millisecond).Seconds()
	res.Offered = r.schedule.Rate(0)
	for class, h := range r.classes {
		res.Classes[class] = latenciesOf(h)
	}
	for second, s := range r.slots {
		res.Timeline = append(res.Timeline, Slot{second, s.h.TotalCount(), float64(s.h.ValueAtPercentile(50)), float64(s.h.ValueAtPercentile(99)), float64(s.h.Max()), s.misses})
	}
	if r.first != nil {
		return res, fmt.Errorf("%d of %d answers were wrong, the first: %w", r.errors, r.errors+res.Answers, r.first)
	}
	if res.Offered == 0 || r.config.Burst {
		return res, nil
	}
	if late := r.lastSent.Sub(r.lastDue); res.Lag.P50 > float64(maxMedianLag.Microseconds()) || late > maxEndLag {
		return res, fmt.Errorf("%w: %.0f/s offered, %.0f/s achieved, late by %.0f µs in the median and %s at the end, at most %d of %d connections busy",
			ErrBehind, res.Offered, res.Achieved, res.Lag.P50, late.Round(time.Millisecond), res.Peak, r.config.Connections)
	}
	return res, nil
}
