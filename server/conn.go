package server

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// slack is how much earlier than asked for a deadline may end a wait. It is
// the twentieth part of the shortest that this server sets.
const slack = 250 * time.Millisecond

// LazyDeadlines returns the listener with connections that tell the runtime of
// a deadline when a read or write begins, and only if the one in force is later,
// or earlier by more than a quarter of a second. fasthttp sets three for every
// request, and nearly always the request is there as a whole and the answer is
// taken at once; the runtime's timers cost a microsecond for nothing. No wait is
// ever longer than was asked for. TLS belongs above it.
func LazyDeadlines(l net.Listener) net.Listener { return lazyListener{l} }

type lazyListener struct{ net.Listener }

func (l lazyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newConn(nonblocking(c)), nil
}

// conn is a connection with lazy deadlines. Like any net.Conn it is safe for
// concurrent use: a deadline that is set while a call waits concerns that call.
type conn struct {
	net.Conn

	read, write lazyDeadline
}

func newConn(c net.Conn) *conn {
	out := &conn{Conn: c}
	epoch := time.Now() //nolint:forbidigo // an origin, not a time: it decides nothing
	out.read.set, out.write.set = c.SetReadDeadline, c.SetWriteDeadline
	out.read.epoch, out.write.epoch = epoch, epoch
	return out
}

func (c *conn) Read(b []byte) (int, error) {
	if err := c.read.begin(); err != nil {
		return 0, err
	}
	defer c.read.end()
	return c.Conn.Read(b)
}

func (c *conn) Write(b []byte) (int, error) {
	if err := c.write.begin(); err != nil {
		return 0, err
	}
	defer c.write.end()
	return c.Conn.Write(b)
}

// SetReadDeadline also puts the deadline for writing off: that of the last answer
// would end the next write that fasthttp makes without setting one, "100
// Continue" or the refusal of what is no request, on a connection that idled.
func (c *conn) SetReadDeadline(t time.Time) error {
	if err := c.read.want(t); err != nil || t.IsZero() {
		return err
	}
	return c.write.want(t.Add(writeTimeout - readTimeout))
}

func (c *conn) SetWriteDeadline(t time.Time) error { return c.write.want(t) }

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.read.want(t); err != nil {
		return err
	}
	return c.write.want(t)
}

// never stands for no deadline; it is later than any.
const never = 1<<63 - 1

// lazyDeadline is a deadline for calls in one direction.
type lazyDeadline struct {
	set    func(time.Time) error
	epoch  time.Time    // what deadlines are counted from, on the monotonic clock
	wanted atomic.Int64 // what was asked for; 0: nothing ever was
	busy   atomic.Int32 // calls under way

	mu    sync.Mutex   // serializes set
	armed atomic.Int64 // what set was told
}

// want takes over a deadline; calls that are under way are told of it at once.
func (d *lazyDeadline) want(t time.Time) error {
	at := int64(never)
	if !t.IsZero() {
		at = max(1, int64(t.Sub(d.epoch))) // before the connection is as good as now
	}
	d.wanted.Store(at)
	if d.busy.Load() > 0 { // else begin, which counts before it looks, sees what was stored
		return d.arm()
	}
	return nil
}

// begin is called before a call that may wait.
func (d *lazyDeadline) begin() error {
	d.busy.Add(1)
	if d.fits() {
		return nil
	}
	if err := d.arm(); err != nil {
		d.end()
		return err
	}
	return nil
}

func (d *lazyDeadline) end() { d.busy.Add(-1) }

// fits reports whether the deadline in force may stand for the wanted one.
func (d *lazyDeadline) fits() bool {
	wanted, armed := d.wanted.Load(), d.armed.Load()
	return wanted == armed || wanted > armed && armed > 0 && wanted-armed <= int64(slack)
}

func (d *lazyDeadline) arm() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fits() {
		return nil
	}
	wanted := d.wanted.Load()
	var t time.Time
	if wanted != never {
		t = d.epoch.Add(time.Duration(wanted))
	}
	if err := d.set(t); err != nil {
		return err
	}
	d.armed.Store(wanted)
	return nil
}
