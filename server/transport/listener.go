package transport

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// The pause after a connection could not be accepted doubles from the shortest
// to the longest.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// Config is what Connections are made of.
type Config struct {
	Limits Limits
	// Exempt reports whether a peer may have as many connections as there are:
	// a trusted proxy speaks for many viewers. nil: none may.
	Exempt  func(netip.Addr) bool
	Logger  *slog.Logger // nil: silent
	Name    string       // in Metrics, which no other Connections have: PublicListener or AdminListener
	Metrics *Metrics     // nil: nobody counts
}

// The names of listeners in metrics.
const (
	PublicListener = "public"
	AdminListener  = "admin"
)

// Connections are those of one or more listeners within common limits.
type Connections struct {
	table   *table
	name    string
	metrics *Metrics
	refused *summary
	failed  *summary
}

// New returns Connections. It does no I/O.
func New(cfg Config) *Connections {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Exempt == nil {
		cfg.Exempt = func(netip.Addr) bool { return false }
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	t := newTable(cfg.Limits, cfg.Exempt)
	cfg.Metrics.add(cfg.Name, t)
	return &Connections{
		table: t, name: cfg.Name, metrics: cfg.Metrics,
		refused: &summary{log: func(attrs ...any) { cfg.Logger.Warn("connections refused: there are too many", attrs...) }},
		failed:  &summary{log: func(attrs ...any) { cfg.Logger.Warn("accepting connections failed; the listener goes on", attrs...) }},
	}
}

// CloseIdle closes the connections on which no request is under way: those without
// one, and those that have sent a part of a header.
func (c *Connections) CloseIdle() { c.table.closeIdle() }

// Listen returns a Listener over another one, which it closes.
func (c *Connections) Listen(inner net.Listener) *Listener {
	l := &Listener{Listener: inner, connections: c, closed: make(chan struct{})}
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		return inner.Close()
	})
	return l
}

// Listener accepts connections within limits. Its Accept returns an error only
// when the listener below is closed, or broken for good: a want of descriptors or
// memory, and a peer that is gone already, are waited out.
type Listener struct {
	net.Listener

	connections *Connections
	closed      chan struct{}
	close       func() error
}

// Close stops accepting. Connections that were accepted stay.
func (l *Listener) Close() error { return l.close() }

// Accept returns the next connection that the limits admit, a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	pause := shortestPause
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			if !transient(err) || !l.wait(pause) {
				return nil, err
			}
			l.connections.metrics.failed(l.connections.name, err)
			l.connections.failed.add(slog.String("error", err.Error()), slog.Duration("next_try_after", pause))
			pause = min(2*pause, longestPause)
			continue
		}
		pause = shortestPause
		conn, reason := l.connections.table.admit(inner)
		if reason == "" {
			return conn, nil
		}
		l.connections.metrics.refused.WithLabelValues(l.connections.name, reason).Inc()
		l.connections.refused.add(slog.String("reason", reason), slog.String("peer", inner.RemoteAddr().String()))
		abort(inner)
	}
}

// wait pauses accepting; false: the listener was closed meanwhile.
func (l *Listener) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.closed:
		return false
	}
}

// transient reports whether accept(2) may succeed later although it failed: the
// process or the system lacks descriptors or memory, or the error belongs to the
// connection that was to be accepted (accept(2), "Error handling").
func transient(err error) bool {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		return false
	}
	var number syscall.Errno
	if !errors.As(err, &number) {
		var timeout net.Error
		return errors.As(err, &timeout) && timeout.Timeout()
	}
	return !slices.Contains(noSocket(), number)
}

// noSocket returns the errors of accept(2) that say there is no listening socket.
func noSocket() []syscall.Errno {
	return []syscall.Errno{syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, syscall.EFAULT, syscall.EOPNOTSUPP}
}

// abort closes a connection that was never served, without the state that an
// orderly close leaves behind in the kernel for a minute.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // an orderly close is as good
	}
	_ = c.Close() // nobody waits for it
}

// summary logs what happens often in one line a second.
type summary struct {
	log func(attrs ...any)

	mu    sync.Mutex // guards what follows
	count int        // since the last line
	last  time.Time  // of the last line
}

// add counts an occurrence, and logs how many there were, with the attributes of
// this one, if the last line is a second old.
func (s *summary) add(attrs ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	now := time.Now() //nolint:forbidigo // paces the log alone
	if now.Sub(s.last) < time.Second {
		return
	}
	s.log(append([]any{slog.Int("count", s.count)}, attrs...)...)
	s.count, s.last = 0, now
}
