package vaulttest

import "syscall"

// dieWithParent lets the kernel end the server if the test process dies without
// cleaning up: by a panic, a time-out or a kill.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
