package file

import (
	"time"

	"golang.org/x/sys/unix"
)

// stamp tells one version of a file from another: its inode, size and times. The
// time of a change (ctime) cannot be set by whoever writes the file.
type stamp struct {
	device, inode, links uint64
	mode                 uint32
	size                 int64
	modified, changed    unix.Timespec
}

// stampOf returns the stamp of what a path leads to; of nothing, the zero stamp.
// plain: it is reached by no link.
func stampOf(path string) (s stamp, plain bool) {
	var info unix.Stat_t
	if err := unix.Lstat(path, &info); err != nil {
		return stamp{}, false
	}
	if plain = info.Mode&unix.S_IFMT != unix.S_IFLNK; !plain {
		if err := unix.Stat(path, &info); err != nil {
			return stamp{}, false
		}
	}
	if info.Mode&unix.S_IFMT == unix.S_IFREG && info.Nlink > 1 {
		plain = false // it may be written to under another name
	}
	links := info.Nlink
	return stamp{info.Dev, info.Ino, uint64(links), info.Mode, info.Size, info.Mtim, info.Ctim}, plain //nolint:unconvert // not 64 bits everywhere
}

// unsettled is how long after a change another one may leave no trace in the
// stamp: the clock of a file system may be as coarse.
const unsettled = 2 * time.Second

// settled reports whether the file was left alone before it was read at a time.
func (s stamp) settled(read time.Time) bool {
	changed := time.Unix(s.changed.Unix())
	return read.Sub(changed) > unsettled
}

// isDirectory reports whether a path is a directory, and no link to one.
func isDirectory(path string) bool {
	var info unix.Stat_t
	return unix.Lstat(path, &info) == nil && info.Mode&unix.S_IFMT == unix.S_IFDIR
}

// local reports whether nobody but this kernel changes the files of a directory.
// Of others, as on a network mount, the kernel may not know.
func local(dir string) bool {
	var info unix.Statfs_t
	if err := unix.Statfs(dir, &info); err != nil {
		return false
	}
	switch int64(info.Type) { //nolint:unconvert // not 64 bits everywhere
	case unix.BTRFS_SUPER_MAGIC, unix.EXT4_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC,
		unix.RAMFS_MAGIC, unix.TMPFS_MAGIC, unix.XFS_SUPER_MAGIC, zfsMagic:
		return true
	}
	return false
}

const zfsMagic = 0x2fc12fc1
