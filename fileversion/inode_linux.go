package fileversion

import (
	"io/fs"
	"syscall"
)

// inode is what the file system knows of a file beside its size and times of
// access and modification.
type inode struct {
	device, number uint64
	changed        syscall.Timespec
}

func inodeOf(info fs.FileInfo) inode {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}
	}
	return inode{uint64(s.Dev), s.Ino, s.Ctim} //nolint:unconvert // its type depends on the system
}
