//go:build !linux

package server

import "net"

// nonblocking returns the connection as it is.
func nonblocking(c net.Conn) net.Conn { return c }
