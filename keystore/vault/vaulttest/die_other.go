//go:build !linux

package vaulttest

import "syscall"

// dieWithParent has no portable way to do what its name says.
func dieWithParent() *syscall.SysProcAttr { return nil }
