package transport

import (
	"cmp"
	"errors"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Why a connection is refused or closed, as the metric has it.
const (
	reasonTotal   = "total"    // there are Limits.Total, all of them in use
	reasonPerPeer = "per_peer" // the peer has Limits.PerPeer
)

// evictions is the part of the idle connections that is closed at once to make
// room: looking for them costs a pass over all, which is then needed for one new
// connection in so many only.
const evictions = 64

// table holds the open connections.
type table struct {
	limits Limits
	exempt func(netip.Addr) bool
	epoch  time.Time // what Conn.idle counts from, on the monotonic clock

	evicted atomic.Uint64

	mu    sync.Mutex // guards what follows
	conns map[*Conn]struct{}
	peers map[netip.Prefix]int
}

func newTable(limits Limits, exempt func(netip.Addr) bool) *table {
	if limits.Total == 0 {
		limits.Total = math.MaxInt
	}
	if limits.PerPeer == 0 {
		limits.PerPeer = limits.Total
	}
	return &table{
		limits: limits, exempt: exempt,
		epoch: time.Now(), //nolint:forbidigo // an origin of durations: it decides nothing
		conns: make(map[*Conn]struct{}), peers: make(map[netip.Prefix]int),
	}
}

// admit returns the connection within the limits, or the reason why it cannot be
// had. Where there are as many as there may be, those that have been idle the
// longest are closed for it.
func (t *table) admit(inner net.Conn) (_ *Conn, reason string) {
	c := &Conn{Conn: inner, table: t}
	address := addressOf(inner)
	c.peer = peerOf(address)
	c.idle.Store(t.elapsed())
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[c.peer] >= t.limits.PerPeer && !t.exempt(address) {
		return nil, reasonPerPeer
	}
	if len(t.conns) >= t.limits.Total && !t.evictLocked() {
		return nil, reasonTotal
	}
	t.conns[c] = struct{}{}
	t.peers[c.peer]++
	return c, ""
}

// evictLocked closes the connections that have been idle the longest: a part of
// all, at least one. false: none is idle.
func (t *table) evictLocked() bool {
	type candidate struct {
		conn  *Conn
		since int64
	}
	var idle []candidate
	for c := range t.conns {
		if since := c.idle.Load(); since > 0 {
			idle = append(idle, candidate{c, since})
		}
	}
	slices.SortFunc(idle, func(a, b candidate) int { return cmp.Compare(a.since, b.since) })
	closed := false
	for _, c := range idle[:min(len(idle), max(1, t.limits.Total/evictions))] {
		if !c.conn.idle.CompareAndSwap(c.since, evictedMark) {
			continue // a request has begun
		}
		t.removeLocked(c.conn)
		t.evicted.Add(1)
		closed = true
		_ = c.conn.Conn.Close() // whoever reads from it learns of it
	}
	return closed
}

func (t *table) remove(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(c)
}

func (t *table) removeLocked(c *Conn) {
	if _, ok := t.conns[c]; !ok {
		return
	}
	delete(t.conns, c)
	if t.peers[c.peer]--; t.peers[c.peer] <= 0 {
		delete(t.peers, c.peer)
	}
}

// counts returns how many connections are idle and how many are not.
func (t *table) counts() (idle, busy int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		if c.idle.Load() > 0 {
			idle++
		} else {
			busy++
		}
	}
	return idle, busy
}

func (t *table) elapsed() int64 {
	return max(1, int64(time.Since(t.epoch)))
}

// evictedMark is Conn.idle of a connection that was closed to make room.
const evictedMark = -1

// Conn is a connection within the limits. It is idle from the beginning
// and after each answer, until the header of a request has arrived: what an
// attacker sends slowly is idle.
type Conn struct {
	net.Conn

	table *table
	peer  netip.Prefix
	idle  atomic.Int64 // since when, counted from table.epoch; 0: a request is being answered
}

// Busy says that a request is being answered. c may be nil.
func (c *Conn) Busy() {
	if c == nil {
		return
	}
	if since := c.idle.Load(); since > 0 {
		c.idle.CompareAndSwap(since, 0)
	}
}

// Idle says that the connection waits for a request since now. c may be nil.
func (c *Conn) Idle(now time.Time) {
	if c != nil {
		c.idle.CompareAndSwap(0, max(1, int64(now.Sub(c.table.epoch))))
	}
}

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
