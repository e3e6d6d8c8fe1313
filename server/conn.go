package server

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/server/transport"
)

// slack is how much earlier than due a deadline may end a wait. It is the
// twentieth part of the shortest that this server sets.
const slack = 250 * time.Millisecond

// timedListener gives connections that keep the server's timeouts themselves.
// fasthttp would read the clock and set a deadline three times per request, and
// nearly always the request is there as a whole and the answer is taken at once.
// The connection is told of each request's beginning and end instead, with the
// times that the request has anyway, and tells the runtime of a deadline when a
// read or write begins, unless the one in force is earlier by at most slack. No
// wait is ever longer than the server's timeouts say. TLS belongs above it.
type timedListener struct {
	net.Listener

	patience time.Duration // for the first request to arrive, from accept
}

func (l timedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	timed := newConn(nonblocking(c), l.patience)
	timed.half, _ = c.(interface{ CloseWrite() error })
	timed.limited, _ = c.(*transport.Conn)
	return timed, nil
}

// conn is a connection that keeps the server's timeouts. Like any net.Conn it is
// safe for concurrent use. Who sets a deadline, as crypto/tls does to take its
// leave, is obeyed from then on.
type conn struct {
	net.Conn

	epoch time.Time // what all its times are counted from, on the monotonic clock
	// phase is where the connection is in a request: above 0 between two, and
	// when the last was answered; 0: one has begun, and nothing has yet been
	// waited for; below 0 the same, and when the whole of it is due, negated.
	phase       atomic.Int64
	read, write deadlines
	half        interface{ CloseWrite() error } // nil: it cannot be closed by halves
	lingering   atomic.Bool

	limited *transport.Conn // told when the connection is idle; nil: nobody counts it
}

func newConn(inner net.Conn, patience time.Duration) *conn {
	c := &conn{Conn: inner, epoch: time.Now()} //nolint:forbidigo // an origin, not a time: it decides nothing
	c.phase.Store(-int64(patience))
	c.read.set, c.write.set = inner.SetReadDeadline, inner.SetWriteDeadline
	c.read.epoch, c.write.epoch = c.epoch, c.epoch
	return c
}

// timed returns the connection that keeps the timeouts, nil if there is none.
func timed(c net.Conn) *conn {
	switch strict := c.(type) {
	case *strictConn:
		c = strict.Conn
	case *strictTLSConn:
		c = strict.Conn
	}
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	out, _ := c.(*conn)
	return out
}

// begin is called when a request's header has arrived: also of one that came
// with the last request, for which nobody has read.
func (c *conn) begin() {
	if c == nil {
		return
	}
	c.limited.Busy()
	c.limited.Settle(0) // the last answer was written
	if c.phase.Load() > 0 {
		c.phase.Store(0)
	}
}

// receive is called when the body of a request is waited for, and received when it
// no longer is.
func (c *conn) receive() {
	if c != nil {
		c.limited.Receive()
	}
}

func (c *conn) received() {
	if c != nil {
		c.limited.Busy()
	}
}

// reserve takes n bytes for the request under way; false: there is no room for them.
func (c *conn) reserve(n int) bool { return c == nil || c.limited.Reserve(n) }

// evicted reports whether the connection was closed to make room for others.
func (c *conn) evicted() bool { return c != nil && c.limited.Evicted() }

// rest is called when the answer to a request is ready to be written, with the
// bytes that it holds until then beyond what every connection may.
func (c *conn) rest(now time.Time, held int) {
	if c != nil {
		c.limited.Settle(held)
		c.limited.Idle(now)
		c.phase.Store(max(1, int64(now.Sub(c.epoch))))
	}
}

func (c *conn) elapsed() int64 {
	return max(1, int64(time.Since(c.epoch))) // the runtime's clock, whatever the tests inject
}

func (c *conn) Read(b []byte) (int, error) {
	phase := c.phase.Load()
	due := -phase
	switch {
	case phase > 0:
		due = phase + int64(idleTimeout)
	case phase == 0:
		due = c.elapsed() + int64(readTimeout)
		c.phase.CompareAndSwap(0, -due)
	}
	if err := c.read.arm(due); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	if n > 0 && phase > 0 {
		c.phase.CompareAndSwap(phase, 0)
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	since := c.phase.Load()
	if since <= 0 { // TLS's greeting, "100 Continue", the refusal of what is no request
		since = c.elapsed()
	}
	if err := c.write.arm(since + int64(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// A connection that is closed with a request half read waits for its client to
// stop sending: until nothing came for lingerIdle, and no longer than lingerMost.
const (
	lingerIdle = time.Second
	lingerMost = 5 * time.Second
)

// linger makes Close leave the connection open for reading until the client has
// stopped sending (RFC 9112 §9.6). A connection that is closed with bytes unread is
// reset, and the reset may overtake the answer.
func (c *conn) linger() {
	if c != nil && c.half != nil {
		c.lingering.Store(true)
	}
}

// Close closes the connection. One that lingers is closed for writing at once and
// for reading later, and nobody waits for it: at a stop fasthttp closes the idle
// connections one after the other, and a client that goes on sending would hold up
// all of them. A second Close ends the lingering.
func (c *conn) Close() error {
	if c.lingering.CompareAndSwap(true, false) && c.half.CloseWrite() == nil {
		go func() {
			c.discard()
			_ = c.Conn.Close() // nobody is left to be told
		}()
		return nil
	}
	return c.Conn.Close()
}

// discard reads what the client still sends.
func (c *conn) discard() {
	var b [4 << 10]byte
	for until := c.elapsed() + int64(lingerMost); ; {
		end := min(until, c.elapsed()+int64(lingerIdle))
		if c.Conn.SetReadDeadline(c.epoch.Add(time.Duration(end))) != nil {
			return
		}
		if _, err := c.Conn.Read(b[:]); err != nil {
			return
		}
	}
}

func (c *conn) SetReadDeadline(t time.Time) error  { return c.read.obey(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.write.obey(t) }

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.read.obey(t); err != nil {
		return err
	}
	return c.write.obey(t)
}

// deadlines are those for calls in one direction.
type deadlines struct {
	set   func(time.Time) error
	epoch time.Time

	mu    sync.Mutex   // serializes set
	armed atomic.Int64 // what set was told; 0: nothing yet
}

// obeyed stands for a deadline that somebody set: it is not ours to change.
const obeyed = -1

// arm sees to it that a call which begins now ends when it is due.
func (d *deadlines) arm(due int64) error {
	if d.fits(due) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fits(due) {
		return nil
	}
	if err := d.set(d.epoch.Add(time.Duration(due))); err != nil {
		return err
	}
	d.armed.Store(due)
	return nil
}

// fits reports whether the deadline in force may stand for the one that is due.
func (d *deadlines) fits(due int64) bool {
	armed := d.armed.Load()
	return armed == due || armed == obeyed || armed > 0 && armed < due && due-armed <= int64(slack)
}

// obey sets a deadline that stays, also for calls that are under way.
func (d *deadlines) obey(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed.Store(obeyed)
	return d.set(t)
}
