package clock

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

const (
	// checkEvery is how often the clocks are compared.
	checkEvery = time.Second
	// maxDifference is how far the system's clock may be from the time that has
	// passed; beyond it has jumped.
	maxDifference = 5 * time.Second
	// followPart is the part of the time that has passed by which a difference is
	// followed at most: a thousandth, twice what NTP slews.
	followPart = 1000
	// standsFor is how long a jump back must stand before it is believed.
	standsFor = 10 * time.Second
	// witnessError is how far a witness's time may be from the right one.
	witnessError = time.Minute
	// readTime is how long reading the clocks may take for them to be compared.
	readTime = 100 * time.Millisecond
	// noSleep is the largest difference of two clocks that is no suspension.
	noSleep = 500 * time.Millisecond
)

// Source reads the clocks of a machine.
type Source interface {
	// Wall is the time of day, which may be set.
	Wall() time.Time
	// Elapsed is the time since some moment, by a clock that nobody sets. It may
	// stand still while the machine is suspended.
	Elapsed() time.Duration
	// Awake is the time since some moment by a clock that nobody sets and that
	// goes on while the machine is suspended; ok is false where there is none.
	Awake() (since time.Duration, ok bool)
}

// Config is what a Clock is made of.
type Config struct {
	Source     Source                // nil: the system's clocks
	Logger     *slog.Logger          // nil: no log
	Registerer prometheus.Registerer // nil: metrics are counted, not published
	// Changed is told by how much the time of day changed when a jump was
	// believed, by then; it must not use the Clock's Witness, Believe or Check.
	// nil: nobody.
	Changed func(by time.Duration)
}

// Clock tells the time. Make one with New.
type Clock struct {
	source Source
	log    *slog.Logger
	jumps  map[direction]prometheus.Counter
	told   func(time.Duration)

	now    atomic.Int64 // the time of day at Elapsed 0, Unix nanoseconds
	steady atomic.Int64 // the same, of Steady

	mu   sync.Mutex // guards what follows
	last sample
	jump *jump // nil: the system's clock is believed
}

type direction string

const (
	ahead direction = "ahead"
	back  direction = "back"
)

// jump is a change of the system's clock that is not believed yet.
type jump struct {
	by     time.Duration
	since  time.Duration // Elapsed when it was noticed
	denied bool          // a witness said that it is wrong
}

func (j *jump) direction() direction {
	if j.by < 0 {
		return back
	}
	return ahead
}

// sample is the clocks at one moment.
type sample struct {
	wall    int64 // Unix nanoseconds
	elapsed time.Duration
	awake   time.Duration // 0: there is no such clock
}

// New returns a clock that believes what the system's clock says now.
func New(cfg Config) *Clock {
	c := &Clock{source: cfg.Source, log: cfg.Logger, jumps: map[direction]prometheus.Counter{}, told: cfg.Changed}
	if c.source == nil {
		c.source = newSystem()
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.last, _ = c.read()
	c.now.Store(c.last.wall - int64(c.last.elapsed))
	c.steady.Store(c.now.Load())
	c.register(cfg.Registerer)
	return c
}

func (c *Clock) register(registerer prometheus.Registerer) {
	jumps := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_clock_jumps_total",
		Help: "Jumps of the system's clock by more than 5 seconds against the time that has passed, by direction: ahead or back.",
	}, []string{"direction"})
	for _, d := range []direction{ahead, back} {
		c.jumps[d] = jumps.WithLabelValues(string(d))
	}
	if registerer == nil {
		return
	}
	registerer.MustRegister(jumps, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "playgate_clock_difference_seconds",
		Help: "By how much the system's clock is ahead of the time that tokens are signed by; beyond 5 seconds it is not believed.",
	}, func() float64 { return c.difference().Seconds() }))
}

// Now returns the time of day. It never goes back or ahead by itself, except by
// a jump of the system's clock that is believed. It has no monotonic reading.
func (c *Clock) Now() time.Time { return time.Unix(0, c.now.Load()+int64(c.source.Elapsed())) }

// Steady returns a time that no change of the system's clock touches, for what
// measures how long something took or decides when it is due again. It is the
// time of day unless a jump was believed. It has no monotonic reading.
func (c *Clock) Steady() time.Time {
	return time.Unix(0, c.steady.Load()+int64(c.source.Elapsed()))
}

// Run compares the clocks once a second until the context ends.
func (c *Clock) Run(ctx context.Context) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.Check()
		}
	}
}

// Check compares the clocks.
func (c *Clock) Check() {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.read()
	if !ok {
		return // the process stood still between two readings: the next ones tell
	}
	passed := s.elapsed - c.last.elapsed
	if slept := s.awake - c.last.awake - passed; s.awake > 0 && slept > noSleep {
		c.now.Add(int64(slept))
		c.steady.Add(int64(slept))
		c.log.Info("the machine was suspended", "for", playback.FormatDuration(slept))
	}
	c.last = s
	difference := c.differenceAt(s)
	if difference.Abs() <= maxDifference {
		c.follow(difference, passed)
		return
	}
	c.notice(difference, s.elapsed)
	if j := c.jump; j.by < 0 && !j.denied && s.elapsed-j.since >= standsFor {
		c.believe(s, "it has stood for "+playback.FormatDuration(standsFor))
	}
}

// follow moves the time towards the system's clock, so slowly that no jump
// is followed.
func (c *Clock) follow(difference, passed time.Duration) {
	if j := c.jump; j != nil {
		c.jump = nil
		c.log.Info("the system's clock is right again", "jumped_by", playback.FormatDuration(j.by))
	}
	most := max(0, passed/followPart)
	c.now.Add(int64(min(most, max(-most, difference))))
}

// notice takes down a jump, unless it is the one that is known.
func (c *Clock) notice(difference, elapsed time.Duration) {
	if c.jump != nil && (difference-c.jump.by).Abs() <= maxDifference {
		return
	}
	c.jump = &jump{by: difference, since: elapsed}
	c.jumps[c.jump.direction()].Inc()
	c.log.Error("the system's clock jumped; tokens are signed by the time that has passed instead",
		"direction", string(c.jump.direction()), "by", playback.FormatDuration(difference.Abs()))
}

// Witness tells the time by the clock of somebody else who is authenticated, such
// as the Date of an answer over HTTPS. It decides whether a jump is believed.
func (c *Clock) Witness(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.jump == nil {
		return
	}
	s, ok := c.read()
	if !ok {
		return
	}
	wall := at.Sub(time.Unix(0, s.wall)).Abs()
	own := at.Sub(time.Unix(0, c.now.Load()+int64(s.elapsed))).Abs()
	switch {
	case wall < own && wall <= witnessError:
		c.believe(s, "another clock agrees")
	case own < wall && own <= witnessError:
		c.jump.denied = true
	}
}

// Believe takes the system's clock for right, because an operator says so.
func (c *Clock) Believe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.jump == nil {
		return
	}
	if s, ok := c.read(); ok {
		c.believe(s, "an operator said so")
	}
}

func (c *Clock) believe(s sample, why string) {
	difference := c.differenceAt(s)
	c.now.Add(int64(difference))
	c.jump = nil
	if c.told != nil {
		c.told(difference)
	}
	c.log.Warn("the system's clock is believed", "changed_by", playback.FormatDuration(difference), "because", why)
}

// Problem says what is wrong with the system's clock, "" for nothing.
func (c *Clock) Problem() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.jump == nil {
		return ""
	}
	where := "ahead of"
	if c.jump.by < 0 {
		where = "behind"
	}
	return fmt.Sprintf("the system's clock is %s %s the time that has passed; tokens are signed by the latter (SIGHUP: the clock is right)", playback.FormatDuration(c.jump.by.Abs()), where)
}

func (c *Clock) difference() time.Duration {
	s, _ := c.read()
	return c.differenceAt(s)
}

func (c *Clock) differenceAt(s sample) time.Duration {
	return time.Duration(s.wall - c.now.Load() - int64(s.elapsed))
}

// read reads the clocks together; false: it took too long for them to be
// compared.
func (c *Clock) read() (s sample, ok bool) {
	for range 3 {
		begun := c.source.Elapsed()
		s.wall = c.source.Wall().UnixNano()
		s.awake, _ = c.source.Awake()
		s.elapsed = c.source.Elapsed()
		if s.elapsed-begun < readTime {
			return s, true
		}
	}
	return s, false
}
