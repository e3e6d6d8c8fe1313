//go:build !linux

package file

import "time"

// stamp is of no use where it is not known what a file system promises.
type stamp struct{}

func stampOf(string) (s stamp, plain bool) { return stamp{}, false }

func (stamp) settled(time.Time) bool { return false }

func isDirectory(string) bool { return false }

func local(string) bool { return false }
