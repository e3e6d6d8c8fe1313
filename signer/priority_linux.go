package signer

import (
	"syscall"
	"time"
)

// workerNice is the niceness of signing threads: with it the scheduler gives
// them about a tenth of a contended core. Under SCHED_IDLE misses starve beside
// hits (docs/performance.md).
const workerNice = 10

// lowerPriority makes the calling thread yield to the rest of the program, so
// that requests that need no signature do not wait for those that do. On Linux
// niceness belongs to threads (sched(7)). Failure (a sandbox may forbid it)
// changes speed under load only and is ignored.
func lowerPriority() {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), workerNice)
}

// threadTime returns how much of a core's time the calling thread has had.
// Where the machine is busy, much less than what passed on the clock.
func threadTime() time.Duration {
	const thread = 1 // RUSAGE_THREAD, getrusage(2)
	var usage syscall.Rusage
	_ = syscall.Getrusage(thread, &usage) // fails for an unknown constant only
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
