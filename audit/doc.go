// Package audit keeps one record per decision: who asked for what, what the
// rules said and why, and from which inputs, so that a change of the rules can
// be tried on what really happened. It never sees a token.
//
// It owns the form of a record, the sampling, the pseudonyms of viewers, the
// file and its rotation, and the reading of such files. It does not decide, and
// it is not the access log.
//
// A Log is safe for concurrent use. Keep never waits: what does not fit into the
// queue is dropped and counted. One goroutine writes.
//
// If an attacker controls a request, they choose texts in its record (referrer,
// user agent, session), which are JSON strings of bounded length, and they can
// cause as many records of refusals as they cause refusals: the queue and the
// rotation bound what that costs. Whoever reads the log sees what viewers
// watched and, with inputs in full, claims and addresses, but not who they are
// unless a claim says so.
package audit
