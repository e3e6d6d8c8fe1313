// Package collector tells Go's garbage collector how much memory it may use:
// plenty beside a small heap, so that it rarely competes with requests, and
// little of a large one.
//
// It does not hold or free anything. Tune belongs to the process, since the
// collector does; run it once.
//
// If an attacker controls how much is remembered (many tokens, many viewers),
// the heap grows within the bounds of the caches, and by the share of GCPercent
// on top; a container's limit is kept by collecting more often.
package collector
