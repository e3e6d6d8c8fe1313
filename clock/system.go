package clock

import "time"

// system is the machine's own clocks.
type system struct {
	epoch time.Time // with a monotonic reading
}

func newSystem() system {
	return system{time.Now()} //nolint:forbidigo // where the real clock enters
}

// Wall is the system's time of day.
func (system) Wall() time.Time { return time.Now() } //nolint:forbidigo // the same

// Elapsed goes by the runtime's monotonic clock.
func (s system) Elapsed() time.Duration { return time.Since(s.epoch) }
