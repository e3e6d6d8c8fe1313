//go:build !linux

package signer

import "time"

// lowerPriority does nothing: elsewhere threads have no niceness of their own.
func lowerPriority() {}

// threadTime stands in for a thread's own clock with the system's: elsewhere a
// signature is taken to have had a core to itself.
func threadTime() time.Duration { return time.Duration(time.Now().UnixNano()) } //nolint:forbidigo // a difference of it is a measurement
