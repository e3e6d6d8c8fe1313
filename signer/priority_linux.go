package signer

import "syscall"

// workerNice is the niceness of signing threads: with it the scheduler gives
// them about a tenth of a contended core, so that requests that need no
// signature never starve, and all of an idle one.
const workerNice = 10

// lowerPriority makes the calling thread yield to the rest of the program. On
// Linux niceness belongs to threads (setpriority(2), "C library/kernel
// differences"). Failure changes speed under load only and is ignored.
func lowerPriority() {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), workerNice)
}
