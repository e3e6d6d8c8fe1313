package transport

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// evictedMark is Conn.idle of a connection that was closed to make room.
const evictedMark = -1

// Conn is a connection within the limits. It waits for its client from the
// beginning and after each answer, until the header of a request has arrived, and
// while the body of one is read: what an attacker sends slowly is waited for. A
// connection that waits may be closed to make room for others.
type Conn struct {
	net.Conn

	table     *table
	peer      netip.Prefix
	idle      atomic.Int64 // since when the client is waited for, counted from table.epoch; 0: it is not
	receiving atomic.Bool  // what is waited for is a body
	reserved  atomic.Int64 // bytes; written with table.mu held
}

// Busy says that nothing is waited for: a header, or a body, has arrived. c may be
// nil.
func (c *Conn) Busy() {
	if c == nil {
		return
	}
	if since := c.idle.Load(); since > 0 {
		c.idle.CompareAndSwap(since, 0)
	}
	if c.receiving.Load() {
		c.receiving.Store(false)
	}
}

// Receive says that the body of the request under way is waited for, until Busy. c
// may be nil.
func (c *Conn) Receive() {
	if c != nil {
		c.receiving.Store(true)
		c.idle.CompareAndSwap(0, c.table.elapsed())
	}
}

// Idle says that the connection waits for a request since now. c may be nil.
func (c *Conn) Idle(now time.Time) {
	if c != nil {
		c.idle.CompareAndSwap(0, max(1, int64(now.Sub(c.table.epoch))))
	}
}

// Reserve takes n bytes of Limits.Bytes for the request under way, until Settle or
// Close. false: there is no room, or the connection was closed to make some. c may
// be nil, which always has room.
func (c *Conn) Reserve(n int) bool {
	return c == nil || c.table.reserve(c, int64(n))
}

// Settle makes n bytes what is reserved for the connection, however much is left:
// they are there already. c may be nil.
func (c *Conn) Settle(n int) {
	if c != nil && (n != 0 || c.reserved.Load() != 0) {
		c.table.settle(c, int64(n))
	}
}

// Evicted reports whether the connection was closed to make room. c may be nil.
func (c *Conn) Evicted() bool { return c != nil && c.idle.Load() == evictedMark }

// Close closes the connection and gives its place to another.
func (c *Conn) Close() error {
	c.table.remove(c)
	return c.Conn.Close()
}

// CloseWrite closes the connection for writing, as far as the one below can.
func (c *Conn) CloseWrite() error {
	if inner, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return inner.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn returns the connection below, for system calls on it.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	inner, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, syscall.ENOTSOCK
	}
	return inner.SyscallConn()
}

// addressOf returns the peer's IP address, the zero Addr if it has none.
func addressOf(c net.Conn) netip.Addr {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// peerOf returns what counts as one peer: an IPv4 address, an IPv6 /64. All
// connections without an address are one.
func peerOf(address netip.Addr) netip.Prefix {
	bits := 32
	if address.Is6() {
		bits = 64
	}
	prefix, err := address.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
