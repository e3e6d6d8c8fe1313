package transport

import (
	"cmp"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Why a connection is refused or closed, as the metric has it.
const (
	reasonTotal   = "total"    // there are Limits.Total, all of them in use
	reasonPerPeer = "per_peer" // the peer has Limits.PerPeer
	reasonMemory  = "memory"   // Limits.Bytes are in flight, and no connection can be closed for more
)

// evictions is the part of the idle connections that is closed at once to make
// room: looking for them costs a pass over all, which is then needed for one new
// connection in so many only.
const evictions = 64

// patience is how long the body of a request, or the reader of an answer, may be
// waited for while others want the memory that is reserved for it.
const patience = time.Second

// searchPause is how long the memory of other requests is not looked for after it
// was looked for in vain: that is a pass over all connections, and whoever sends
// large bodies can ask for it as often as they like.
const searchPause = 50 * time.Millisecond

// spare is how many times what a request has reserved must stay free for others.
// Whatever fills the memory, a request that wants less than the others finds room:
// requests of a megabyte leave four, requests of 16 KiB leave 64 KiB.
const spare = 4

// table holds the open connections.
type table struct {
	limits Limits
	exempt func(netip.Addr) bool
	epoch  time.Time // what Conn.idle counts from, on the monotonic clock

	evicted atomic.Uint64

	mu        sync.Mutex // guards what follows
	conns     map[*Conn]struct{}
	peers     map[netip.Prefix]int
	reserved  int64 // bytes, by all connections
	nextTrial int64 // when reserved bytes of others may be looked for again
}

func newTable(limits Limits, exempt func(netip.Addr) bool) *table {
	if limits.Total == 0 {
		limits.Total = math.MaxInt
	}
	if limits.PerPeer == 0 {
		limits.PerPeer = math.MaxInt
	}
	if limits.Bytes == 0 {
		limits.Bytes = math.MaxInt64
	}
	return &table{
		limits: limits, exempt: exempt,
		epoch: time.Now(), //nolint:forbidigo // an origin of durations: it decides nothing
		conns: make(map[*Conn]struct{}), peers: make(map[netip.Prefix]int),
	}
}

// admit returns the connection within the limits, or the reason why it cannot be
// had. Where there are as many as there may be, those that have been waiting for
// their clients the longest are closed for it.
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
	full := func() bool { return len(t.conns) >= t.limits.Total }
	scarce := func() bool { return t.inFlightLocked() > t.limits.Bytes-ConnectionCost }
	if full() || scarce() {
		t.evictLocked(waiting, max(1, len(t.conns)/evictions), func() bool { return full() || scarce() })
	}
	switch {
	case full():
		return nil, reasonTotal
	case scarce() && len(t.conns) > 0:
		return nil, reasonMemory
	}
	t.conns[c] = struct{}{}
	t.peers[c.peer]++
	return c, ""
}

// inFlightLocked returns the bytes that count against Limits.Bytes.
func (t *table) inFlightLocked() int64 {
	return int64(len(t.conns))*ConnectionCost + t.reserved
}

// reserve takes n bytes for the request on a connection. Connections that wait
// for a request are closed for it, and requests that have kept waiting for
// patience; false: that leaves less than spare, or the connection is closed itself.
func (t *table) reserve(c *Conn, n int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, open := t.conns[c]; !open {
		return false
	}
	now := t.elapsed()
	stalled := func(since int64) bool { return now-since >= int64(patience) }
	left := func() int64 { return t.limits.Bytes/2 - t.reserved - n }
	beyond := func() bool { return left() < spare*(c.reserved.Load()+n) }
	if beyond() && now >= t.nextTrial {
		t.evictLocked(func(c *Conn, since int64) bool { return c.reserved.Load() > 0 && stalled(since) }, 0, beyond)
	}
	scarce := func() bool { return t.inFlightLocked() > t.limits.Bytes-n }
	if scarce() && !beyond() && now >= t.nextTrial {
		t.evictLocked(func(c *Conn, since int64) bool { return !c.receiving.Load() || stalled(since) }, 1, scarce)
	}
	if beyond() || scarce() {
		t.nextTrial = max(t.nextTrial, now+int64(searchPause))
		return false
	}
	if _, open := t.conns[c]; !open { // it was itself the one that waited the longest
		return false
	}
	c.reserved.Add(n)
	t.reserved += n
	return true
}

// settle makes n bytes what is reserved for a connection, even beyond the limits.
func (t *table) settle(c *Conn, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, open := t.conns[c]; open {
		t.reserved += n - c.reserved.Swap(n)
	}
}

// waiting admits every connection that waits for its client.
func waiting(*Conn, int64) bool { return true }

// evictLocked closes connections that wait for their clients, those that have
// waited the longest first, as far as may allows: least of them, and then for as
// long as more are needed.
func (t *table) evictLocked(may func(c *Conn, since int64) bool, least int, needed func() bool) {
	type candidate struct {
		conn  *Conn
		since int64
	}
	var candidates []candidate
	for c := range t.conns {
		if since := c.idle.Load(); since > 0 && may(c, since) {
			candidates = append(candidates, candidate{c, since})
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.since, b.since) })
	for n, c := range candidates {
		if n >= least && !needed() {
			return
		}
		if !c.conn.idle.CompareAndSwap(c.since, evictedMark) {
			continue // it waits no longer
		}
		t.removeLocked(c.conn)
		t.evicted.Add(1)
		_ = c.conn.Conn.Close() // whoever reads from it learns of it
	}
}

// closeIdle closes the connections on which no request is under way.
func (t *table) closeIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.evictLocked(func(c *Conn, _ int64) bool { return !c.receiving.Load() }, len(t.conns), func() bool { return false })
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
	t.reserved -= c.reserved.Swap(0)
}

// counts returns how many connections wait for a request and how many have one.
func (t *table) counts() (idle, busy int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		if c.idle.Load() > 0 && !c.receiving.Load() {
			idle++
		} else {
			busy++
		}
	}
	return idle, busy
}

// inFlight returns the bytes that count against Limits.Bytes.
func (t *table) inFlight() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.inFlightLocked()
}

func (t *table) elapsed() int64 {
	return max(1, int64(time.Since(t.epoch)))
}
