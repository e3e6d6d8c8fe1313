package load

import (
	"errors"
	"fmt"
	"os"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"golang.org/x/sys/unix"
)

// schedule is a vegeta.Pacer with a constant rate that knows when each request
// is due. Without a rate everything is due at once.
type schedule struct {
	interval time.Duration // between two requests; 0: closed loop
	length   time.Duration
	most     uint64    // requests in all; 0: as many as fit into length
	start    time.Time // written before the first request is sent
	alarm    *alarm
	failed   error // written before the last request is answered
}

var _ vegeta.Pacer = (*schedule)(nil)

// newSchedule returns a schedule; its close must be called.
func newSchedule(c *Config) (*schedule, error) {
	s := &schedule{length: c.Length, most: c.Requests}
	if c.PerSecond > 0 {
		s.interval = time.Duration(float64(time.Second) / c.PerSecond)
	}
	var err error
	s.alarm, err = newAlarm()
	return s, err
}

func (s *schedule) close() error { return errors.Join(s.failed, s.alarm.close()) }

// Pace waits until the request is due, and returns no further wait: vegeta's own
// time.Sleep is up to a millisecond late on an idle machine (the runtime's
// poller counts in milliseconds), which would be charged to the gateway.
func (s *schedule) Pace(elapsed time.Duration, hits uint64) (wait time.Duration, stop bool) {
	if hits == 0 {
		s.start = time.Now().Add(-elapsed)
	}
	due := time.Duration(hits) * s.interval //nolint:gosec // a run is short
	if due >= s.length || s.interval == 0 && elapsed >= s.length || s.most > 0 && hits >= s.most {
		return 0, true
	}
	for {
		left := due - time.Since(s.start)
		if left <= 0 {
			return 0, false
		}
		if s.failed = s.alarm.wait(left); s.failed != nil {
			return 0, true
		}
	}
}

// Rate is what vegeta's own reports would read.
func (s *schedule) Rate(time.Duration) float64 {
	if s.interval == 0 {
		return 0
	}
	return float64(time.Second) / float64(s.interval)
}

// due returns when the request of a place in the schedule was to be sent; in a
// closed loop, when it was sent.
func (s *schedule) due(seq uint64, sent time.Time) time.Time {
	if s.interval == 0 {
		return sent
	}
	return s.start.Add(time.Duration(seq) * s.interval) //nolint:gosec // a run is short
}

// alarm is a timer of the kernel, exact to some microseconds, that a goroutine
// waits for as for a connection, so that no thread is blocked meanwhile.
type alarm struct {
	fd     int
	file   *os.File
	buffer [8]byte
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a timer: %w", err)
	}
	return &alarm{fd: fd, file: os.NewFile(uintptr(fd), "timer")}, nil
}

func (a *alarm) wait(d time.Duration) error {
	if err := unix.TimerfdSettime(a.fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}, nil); err != nil {
		return fmt.Errorf("setting a timer: %w", err)
	}
	if _, err := a.file.Read(a.buffer[:]); err != nil {
		return fmt.Errorf("waiting for a timer: %w", err)
	}
	return nil
}

func (a *alarm) close() error {
	if err := a.file.Close(); err != nil {
		return fmt.Errorf("closing a timer: %w", err)
	}
	return nil
}
