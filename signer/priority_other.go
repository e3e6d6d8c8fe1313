//go:build !linux

package signer

// lowerPriority does nothing: elsewhere threads have no niceness of their own.
func lowerPriority() {}
