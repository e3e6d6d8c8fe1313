// Package load puts load on a gateway as many viewers would, and checks every
// answer. It owns the pace (vegeta's Attacker, on a schedule of its own), the
// sessions of viewers, the histograms (HdrHistogram), and the judgement of the
// tokens by muxsim's rules.
//
// # Open loop
//
// With a rate, requests are sent on a fixed schedule whatever the gateway does,
// by as many connections as that takes. Latency is counted from the moment at
// which the schedule says that a request is sent, never from when it was: a
// gateway that stalls for a second is charged with that second by every request
// that was due meanwhile, and a generator that is late charges itself. How late
// it was is reported too, and a run whose generator fell behind fails, so that
// no figure of a saturated generator passes for the gateway's. Without a rate
// the loop is closed: a fixed number of callers, each asking again as soon as
// it was answered. That measures throughput; its latencies say little.
//
// # Classes
//
// An answer to a redirect is of class redirect. X-Playgate-Cache tells hits from
// the rest. The gateway does not say who of them caused a signature: among all
// that waited for one, the first whose answer came counts as the miss, the others
// as coalesced. Its own counters, of tokens, are reported beside.
//
// A Run may go on beside another. Nothing here is meant for use outside of
// benchmarks. It asks only the address that it is given.
package load
