// Package middleware holds what stands between fiber and the handlers of
// package server, one file each and called in their order by server: request ID, access log, recover,
// client address, host, rate limits, CORS, and the choice and check of the
// caller's credential. They share one Exchange per request, which starts empty
// and is filled from the outside in.
//
// It decides WHO asks and whether they may ask now and from here. It does not
// verify viewer tokens (identity does, behind the Viewers interface), does not
// decide what the caller may watch (policy), does not route, and writes no
// error: everything that refuses returns a *playback.Error.
//
// A Snapshot is immutable and loaded once per request; an Exchange belongs to
// one request and goes back to a pool after the answer. Strings in an Exchange
// that are documented as views point into fiber's buffers and must be copied
// by whoever keeps them. Limits and their counters are shared and safe for
// concurrent use.
//
// If an attacker controls the headers (they do), they can choose which
// environment's address limit they are charged to among those that exist, put a
// few hundred quoted bytes of a token into the log line of its refusal, and
// nothing else: they cannot choose their address unless their peer is a
// trusted proxy, cannot reset a counter that has counted more than one, cannot keep
// others out of the counters from one /32 of IPv6, and cannot become a caller
// of an environment without a credential that this environment accepts.
package middleware
