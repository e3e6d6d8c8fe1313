package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Awake goes by CLOCK_BOOTTIME: CLOCK_MONOTONIC, which the runtime's monotonic
// clock is, plus the time in which the machine was suspended (clock_gettime(2)).
func (system) Awake() (time.Duration, bool) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, false
	}
	return time.Duration(now.Nano()), true
}
