// Package ratio measures the gateway's greatest throughput beside other servers
// and beside bare signing, in one run on one machine, and prints ratios, because
// absolute figures of a shared machine mean little.
//
// It is a closed loop: wrk keeps a number of connections busy over loopback, on
// the same cores. Everything is measured in turn, round after round; the floors
// (bare fiber, openssl speed) come before and after all else of their group, so
// that a drift of the machine falls on both sides of a ratio. A figure is the
// median of the rounds' ratios. Beside throughput stands the CPU time that the
// server, with its children, took per request: other load on the machine moves
// it less. A window in which the hypervisor stole time is measured again.
//
// Speed never passes for correctness: one status of 400 or above fails the run,
// the gateway's own counters must say that every miss was a miss and every hit a
// hit, tokens are verified by muxsim's rules before and after, and a peer whose
// token Mux would refuse is not measured.
//
// Latencies of a closed loop hide waiting; the open-loop scenarios are another
// package's.
//
// Run starts and stops its own servers, all on loopback, and sends load nowhere
// else. One Run at a time; two would measure each other.
package ratio
