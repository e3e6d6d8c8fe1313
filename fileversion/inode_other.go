//go:build !linux

package fileversion

import "io/fs"

// inode is empty where its members are not known: the size and the time of the
// last modification have to do.
type inode struct{}

func inodeOf(fs.FileInfo) inode { return inode{} }
