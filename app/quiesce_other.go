//go:build !linux

package app

import "net"

// quiesce does nothing where the kernel cannot be told to drop packets.
func quiesce(net.Listener) bool { return false }
