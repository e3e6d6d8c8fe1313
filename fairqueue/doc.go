// Package fairqueue divides a bounded number of places among callers: those who
// wait are served by key in turn, so that a key with a thousand waiters delays
// another one by a single place.
//
// It owns the order of those who wait. It does not own what a place is for, how
// long a place is kept, or how many may wait.
//
// A Queue is safe for concurrent use and starts no goroutine.
//
// If an attacker chooses how often they ask under one key, they wait longer
// themselves. If they can ask under many keys, others wait for one place of each:
// keys must cost something, such as a verified identity.
package fairqueue
