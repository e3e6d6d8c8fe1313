// Package clocktest has clocks that tests set. They go on with the real time.
package clocktest

import (
	"sync"
	"time"
)

// Source is a clock.Source whose clocks can be set.
type Source struct {
	mu     sync.Mutex
	epoch  time.Time     // with a monotonic reading
	wall   time.Time     // what the time of day was then
	passed time.Duration // how much more time has passed
	set    time.Duration // by how much the time of day was set
	slept  time.Duration // how long the machine was suspended
	asleep bool          // there is a clock that goes on meanwhile
}

// New returns a source whose time of day is given.
func New(wall time.Time) *Source {
	return &Source{epoch: time.Now(), wall: wall.Round(0), asleep: true} //nolint:forbidigo // an origin of durations
}

// Wall is the time of day.
func (s *Source) Wall() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wall.Add(time.Since(s.epoch) + s.passed + s.slept + s.set)
}

// Elapsed stands still while the machine is suspended.
func (s *Source) Elapsed() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.epoch) + s.passed
}

// Awake goes on while the machine is suspended.
func (s *Source) Awake() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.epoch) + s.passed + s.slept + time.Hour, s.asleep
}

// Pass lets time pass, by all clocks.
func (s *Source) Pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed += d
}

// Set sets the time of day ahead, or back.
func (s *Source) Set(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set += d
}

// Suspend suspends the machine for as long. noticed: it has a clock that goes on
// meanwhile, as where the machine itself is suspended, and not its hypervisor's
// process.
func (s *Source) Suspend(d time.Duration, noticed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if noticed {
		s.slept += d
		return
	}
	s.set += d
}
