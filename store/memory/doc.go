// Package memory keeps the durable records in the process, for demos and tests:
// they end with it, and no replica sees them.
//
// It owns nothing beyond the semantics of package store, on maps behind one
// lock. A store is safe for concurrent use.
//
// If an attacker controls the arguments, they can fill the memory: whoever calls
// bounds sizes and counts.
package memory
