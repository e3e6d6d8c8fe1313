package app

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// PreventCoreDumps keeps the process's memory, which holds keys, out of core
// dumps. The soft RLIMIT_CORE of 0 prevents files. The kernel ignores it where
// kernel.core_pattern is a pipe to a program, as with systemd-coredump: an empty
// coredump_filter leaves memory out there, too, Go's and libcrypto's alike.
//
// PR_SET_DUMPABLE would also keep other processes of the same user away
// (ptrace), but gives /proc/self to root: without root's rights the process
// metrics could not be read any more.
func PreventCoreDumps() error {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	if err == nil {
		limit.Cur = 0
		err = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	if err != nil {
		err = fmt.Errorf("setting RLIMIT_CORE: %w", err)
	}
	return errors.Join(err, os.WriteFile("/proc/self/coredump_filter", []byte("0"), 0))
}
