package file

import (
	"os"

	"golang.org/x/sys/unix"
)

// readOnly reports whether the file's file system is mounted read-only.
func readOnly(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var info unix.Statfs_t
	failed := raw.Control(func(fd uintptr) { err = unix.Fstatfs(int(fd), &info) })
	return failed == nil && err == nil && info.Flags&unix.ST_RDONLY != 0
}
