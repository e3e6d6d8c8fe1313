// Package environments measures what many environments cost: it writes a
// configuration with as many as asked for, a signing key for each, starts the
// gateway's binary on it, and reads from outside how long it takes to be ready,
// to reload, to withdraw a key and to stop, and what CPU time and memory it takes
// while nobody asks it for anything.
//
// Times of the process (utime + stime) are reported beside the clock, because the
// machine may have other work; the load average of the run stands in the report.
//
// The environments' keys share a pool of primes, so that ten thousand of them are
// made in seconds. They protect nothing. Everything listens on loopback.
package environments
