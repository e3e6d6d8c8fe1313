package transport

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The pause after a connection could not be accepted doubles from the shortest
// to the longest.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// Limits bound the connections of a Listener.
type Limits struct {
	Total   int // connections at a time, at least 1
	PerPeer int // of one IPv4 address or IPv6 /64, at least 1
}

// Config is what a Listener is made of.
type Config struct {
	Limits Limits
	// Exempt reports whether a peer may have as many connections as there are:
	// a trusted proxy speaks for many viewers. nil: none may.
	Exempt     func(netip.Addr) bool
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: metrics are counted, not published
}

// Listener accepts connections within limits. Its Accept returns an error only
// when the listener below is closed, or broken for good: a want of descriptors or
// memory, and a peer that is gone already, are waited out.
type Listener struct {
	net.Listener

	table   *table
	metrics *metrics
	refused *summary
	failed  *summary
	closed  chan struct{}
	close   func() error
}

// Listen returns a Listener over another one, which it closes.
func Listen(inner net.Listener, cfg Config) *Listener {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Exempt == nil {
		cfg.Exempt = func(netip.Addr) bool { return false }
	}
	l := &Listener{Listener: inner, table: newTable(cfg.Limits, cfg.Exempt), closed: make(chan struct{})}
	l.metrics = newMetrics(cfg.Registerer, l.table)
	l.refused = &summary{log: cfg.Logger, message: "connections refused: there are too many"}
	l.failed = &summary{log: cfg.Logger, message: "accepting connections failed; the listener goes on"}
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		return inner.Close()
	})
	return l
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
			l.metrics.failed(err)
			l.failed.add(slog.String("error", err.Error()), slog.Duration("next_try_after", pause))
			pause = min(2*pause, longestPause)
			continue
		}
		pause = shortestPause
		conn, reason := l.table.admit(inner)
		if reason == "" {
			return conn, nil
		}
		l.metrics.refused.WithLabelValues(reason).Inc()
		l.refused.add(slog.String("reason", reason), slog.String("peer", inner.RemoteAddr().String()))
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
	switch number {
	case syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, syscall.EFAULT, syscall.EOPNOTSUPP:
		return false // there is no listening socket
	}
	return true
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
	log     *slog.Logger
	message string

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
	s.log.Warn(s.message, append([]any{slog.Int("count", s.count)}, attrs...)...)
	s.count, s.last = 0, now
}
