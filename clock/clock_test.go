package clock_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/clock"
	"github.com/playgate/playgate/clock/clocktest"
)

const year = 365 * 24 * time.Hour

// machine is a clock and the machine that it reads, in a bubble.
type machine struct {
	*clock.Clock

	source   *clocktest.Source
	start    time.Time
	log      bytes.Buffer
	registry *prometheus.Registry
}

func newMachine() *machine {
	m := &machine{start: time.Unix(1_800_000_000, 0), registry: prometheus.NewPedanticRegistry()}
	m.source = clocktest.New(m.start)
	m.Clock = clock.New(clock.Config{Source: m.source, Logger: slog.New(slog.NewTextHandler(&m.log, nil)), Registerer: m.registry})
	return m
}

// run lets time pass second by second.
func (m *machine) run(d time.Duration) {
	for range d / time.Second {
		m.source.Pass(time.Second)
		m.Check()
	}
}

// passed returns how far the clock has come since the start.
func (m *machine) passed() time.Duration { return m.Now().Sub(m.start) }

// metric returns a metric's value; label is "" where it has none.
func (m *machine) metric(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			labels := metric.GetLabel()
			if family.GetName() == name && (label == "" || labels[0].GetValue() == label) {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s of %q", name, label)
	return 0
}

func (m *machine) jumps(t *testing.T, direction string) float64 {
	t.Helper()
	return m.metric(t, "playgate_clock_jumps_total", direction)
}

func bubble(t *testing.T, test func(t *testing.T, m *machine)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newMachine()) })
}

// TestAJumpAheadIsNotBelieved, however far and however long it stands, and is
// over when the system's clock is right again.
func TestAJumpAheadIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{6 * time.Second, time.Hour, 10 * year} {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine()
			m.source.Set(by)
			m.run(2 * time.Hour)
			if got := m.passed(); got != 2*time.Hour {
				t.Errorf("after a jump by %s, 2h are %s", by, got)
			}
			if got := m.jumps(t, "ahead"); got != 1 || !strings.Contains(m.Problem(), "ahead") || strings.Count(m.log.String(), "level=ERROR") != 1 {
				t.Errorf("a jump by %s: %v alarms, problem %q, log:\n%s", by, got, m.Problem(), &m.log)
			}
			m.source.Set(-by)
			m.run(time.Second)
			if m.Problem() != "" || m.passed() != 2*time.Hour+time.Second {
				t.Errorf("when it is right again: %q, %s", m.Problem(), m.passed())
			}
		})
	}
}

// TestAJumpBackIsBelievedWhenItStands, and Steady does not notice.
func TestAJumpBackIsBelievedWhenItStands(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{6 * time.Second, time.Hour, 10 * year} {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine()
			steady := m.Steady()
			m.source.Set(-by)
			m.run(10 * time.Second)
			if m.passed() != 10*time.Second || m.jumps(t, "back") != 1 || !strings.Contains(m.Problem(), "behind") {
				t.Errorf("within 10 s of a jump back by %s: %s, problem %q", by, m.passed(), m.Problem())
			}
			m.run(5 * time.Second)
			if got := m.passed(); got != 15*time.Second-by || m.Problem() != "" {
				t.Errorf("after a jump back by %s: %s, problem %q", by, got, m.Problem())
			}
			if got := m.Steady().Sub(steady); got != 15*time.Second {
				t.Errorf("15 s were %s by the steady clock", got)
			}
		})
	}
}

// TestAClockThatJumpsToAndFroIsNotBelieved: every jump starts anew.
func TestAClockThatJumpsToAndFroIsNotBelieved(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		for range 10 {
			m.source.Set(-time.Hour)
			m.run(8 * time.Second)
			m.source.Set(time.Hour)
			m.run(8 * time.Second)
		}
		if got := m.passed(); got != 160*time.Second || m.jumps(t, "back") != 10 || m.Problem() != "" {
			t.Errorf("160 s were %s, %v alarms, problem %q", got, m.jumps(t, "back"), m.Problem())
		}
	})
}

// TestWitnesses decide about a jump, and about nothing else.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	right := func(m *machine) time.Time { return m.start.Add(m.source.Elapsed()) }
	for name, c := range map[string]struct {
		jump    time.Duration
		witness func(m *machine) time.Time
		want    time.Duration // by how much the clock changed
		problem bool
	}{
		"agrees with a jump ahead":      {time.Hour, func(m *machine) time.Time { return m.source.Wall() }, time.Hour, false},
		"agrees to a minute":            {time.Hour, func(m *machine) time.Time { return m.source.Wall().Add(-59 * time.Second) }, time.Hour, false},
		"contradicts a jump ahead":      {time.Hour, right, 0, true},
		"knows a third time":            {time.Hour, func(m *machine) time.Time { return m.source.Wall().Add(time.Hour) }, 0, true},
		"lies between":                  {time.Hour, func(m *machine) time.Time { return m.source.Wall().Add(-30 * time.Minute) }, 0, true},
		"agrees with a jump back":       {-time.Hour, func(m *machine) time.Time { return m.source.Wall() }, -time.Hour, false},
		"contradicts a jump back":       {-time.Hour, right, 0, true},
		"says nothing without any jump": {0, func(m *machine) time.Time { return m.source.Wall().Add(year) }, 0, false},
		"of little difference":          {2 * time.Second, func(m *machine) time.Time { return m.source.Wall() }, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine()
			m.source.Set(c.jump)
			m.Check()
			m.Witness(c.witness(m))
			if got := m.passed(); got != c.want {
				t.Errorf("a witness that %s changed the time by %s, want %s", name, got, c.want)
			}
			m.run(30 * time.Second)
			if got := m.passed() - c.want - 30*time.Second; got.Abs() > time.Second || (m.Problem() != "") != c.problem {
				t.Errorf("a witness that %s: 30 s later the time is off by %s, problem %q", name, got, m.Problem())
			}
		})
	}
}

func TestAnOperatorCanHaveItBelieved(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.Believe()
		m.source.Set(time.Hour)
		m.run(time.Second)
		m.Believe()
		if m.passed() != time.Hour+time.Second || m.Problem() != "" || !strings.Contains(m.log.String(), "an operator said so") {
			t.Errorf("%s passed, problem %q, log:\n%s", m.passed(), m.Problem(), &m.log)
		}
	})
}

// TestSlowDriftIsFollowed without an alarm, and no faster than 1,000 ppm, so that
// many small steps get nowhere.
func TestSlowDriftIsFollowed(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		for range 3600 { // 500 ppm, what NTP slews at most
			m.source.Set(500 * time.Microsecond)
			m.run(time.Second)
		}
		if off := m.source.Wall().Sub(m.Now()); off.Abs() > time.Millisecond || m.Problem() != "" || m.jumps(t, "ahead") != 0 {
			t.Errorf("after a drift of 1.8 s the clock is off by %s, problem %q", off, m.Problem())
		}
		before := m.passed()
		for range 600 {
			m.source.Set(time.Second)
			m.run(time.Second)
		}
		if got := m.passed() - before; got > 600*time.Second+600*time.Millisecond || m.Problem() == "" {
			t.Errorf("a clock at double speed made 600 s %s, problem %q", got, m.Problem())
		}
	})
}

// TestSuspension: where the machine has a clock that goes on, no alarm and the
// right time at once; where it has none, such as in a virtual machine that is
// paused, an alarm until a witness knows.
func TestSuspension(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.source.Suspend(3*time.Hour, true)
		m.Check()
		if m.passed() != 3*time.Hour || m.Problem() != "" || m.jumps(t, "ahead") != 0 {
			t.Errorf("after 3h asleep: %s, problem %q", m.passed(), m.Problem())
		}
		m.source.Suspend(time.Hour, false)
		m.run(time.Minute)
		if m.passed() != 3*time.Hour+time.Minute || m.Problem() == "" {
			t.Errorf("after 1h paused: %s, problem %q", m.passed(), m.Problem())
		}
		m.Witness(m.start.Add(4*time.Hour + time.Minute).Truncate(time.Second))
		if m.passed() != 4*time.Hour+time.Minute || m.Problem() != "" {
			t.Errorf("when a witness knows: %s, problem %q", m.passed(), m.Problem())
		}
	})
}

// TestTimesHaveNoMonotonicReading: their differences would go by another clock.
func TestTimesHaveNoMonotonicReading(t *testing.T) {
	t.Parallel()
	c := clock.New(clock.Config{})
	for _, now := range []time.Time{c.Now(), c.Steady()} {
		if strings.Contains(now.String(), "m=") {
			t.Errorf("%s has a monotonic reading", now)
		}
		if off := time.Since(now); off.Abs() > time.Minute {
			t.Errorf("the system's clock is off by %s", off)
		}
	}
	c.Check()
	if c.Problem() != "" {
		t.Error(c.Problem())
	}
}

func TestTheDifferenceIsPublished(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.source.Set(-time.Hour)
		m.Check()
		if got := m.metric(t, "playgate_clock_difference_seconds", ""); got != -3600 {
			t.Errorf("the difference is %v s, want -3600", got)
		}
	})
}

func BenchmarkNow(b *testing.B) {
	c := clock.New(clock.Config{})
	b.ReportAllocs()
	for b.Loop() {
		c.Now()
	}
}
