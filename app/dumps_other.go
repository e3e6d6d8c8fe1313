//go:build !linux

package app

// PreventCoreDumps does nothing: the operator sets the limit of core dumps.
func PreventCoreDumps() error { return nil }
