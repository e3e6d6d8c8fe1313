//go:build unix

package file

import (
	"io/fs"
	"os"
	"syscall"
)

// ownLike gives a file the owner and group of another one, if this process is
// root: nobody else may.
func ownLike(other fs.FileInfo, file *os.File) error {
	owner, ok := other.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if has, ok := info.Sys().(*syscall.Stat_t); ok && has.Uid == owner.Uid && has.Gid == owner.Gid {
		return nil // a file system may forbid even that
	}
	return file.Chown(int(owner.Uid), int(owner.Gid))
}
