// Package clock tells the time of day without believing every change of the
// system's clock: a token whose exp was computed by a clock that was thrown ahead
// would be honoured for years.
//
// The time is what the system's clock said at start, plus what has passed since
// by a clock that nobody sets. Small differences are followed slowly; a jump is
// reported, and believed under the rules of docs/decisions/0009. Package clock
// owns these rules. It does not own what is done at a time, and the timers of the
// runtime, which run by the clock that nobody sets, do not need it.
//
// A Clock is safe for concurrent use. Now reads one clock and one atomic number.
// Run is the only goroutine.
//
// If an attacker sets the system's clock, they can have an alarm raised, and by
// setting it back make tokens that have ended count again: they own the machine.
// If they answer for a witness (Mux, an identity provider), they can make a
// jump be believed that the system's clock has made, and cause none.
package clock
