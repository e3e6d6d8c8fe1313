package signer

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// workerNice is the niceness of signing threads where SCHED_IDLE cannot be had:
// with it the scheduler gives them about a tenth of a contended core.
const workerNice = 10

// lowerPriority makes the calling thread yield to the rest of the program, so
// that requests that need no signature do not wait for those that do. On Linux
// scheduling belongs to threads (sched(7)): under SCHED_IDLE any other thread
// that wakes up takes the core at once, while by niceness alone it may wait for
// the end of a slice. Signing does not starve by that: it has all that is idle,
// and workers hold Go's processors like everybody else. Failure (a sandbox may
// forbid it) changes speed under load only and is ignored.
func lowerPriority() {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), workerNice)
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: workerNice}, 0)
}

// threadTime returns how much of a core's time the calling thread has had.
// Where the machine is busy, much less than what passed on the clock.
func threadTime() time.Duration {
	const thread = 1 // RUSAGE_THREAD, getrusage(2)
	var usage syscall.Rusage
	_ = syscall.Getrusage(thread, &usage) // fails for an unknown constant only
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
