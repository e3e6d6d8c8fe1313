//go:build !race

package server_test

// raceEnabled: under the race detector sync.Pool drops things on purpose, so
// allocations mean nothing.
const raceEnabled = false
