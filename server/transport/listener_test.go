package transport_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/server/transport"
)

// scripted is a listener whose Accept gives what a test put in.
type scripted struct {
	results chan any // net.Conn or error
	closed  chan struct{}
	once    sync.Once
}

func newScripted(results ...any) *scripted {
	l := &scripted{results: make(chan any, 1<<10), closed: make(chan struct{})}
	for _, r := range results {
		l.results <- r
	}
	return l
}

func (l *scripted) Accept() (net.Conn, error) {
	select {
	case r, more := <-l.results:
		if !more {
			return nil, net.ErrClosed
		}
		if err, ok := r.(error); ok {
			return nil, err
		}
		return r.(net.Conn), nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *scripted) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (*scripted) Addr() net.Addr { return &net.TCPAddr{} }

// peer is a connection of an address that notes whether it was closed.
type peer struct {
	net.Conn

	address netip.Addr
	mu      sync.Mutex
	closed  int
}

func from(address string) *peer { return &peer{address: netip.MustParseAddr(address)} }

func (p *peer) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.address, 1))
}

func (p *peer) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed++
	return nil
}

func (p *peer) wasClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed > 0
}

func acceptError(number syscall.Errno) error {
	return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", number)}
}

func TestAcceptGoesOnAfterEveryErrorOfAccept2(t *testing.T) {
	t.Parallel()
	numbers := []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO,
		syscall.ENETDOWN, syscall.ENOPROTOOPT, syscall.EHOSTDOWN, syscall.ENONET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EPERM,
	}
	synctest.Test(t, func(t *testing.T) {
		inner := newScripted()
		for _, number := range numbers {
			inner.results <- acceptError(number)
		}
		inner.results <- from("192.0.2.1")
		registry := prometheus.NewPedanticRegistry()
		var log bytes.Buffer
		l := transport.New(transport.Config{
			Limits: transport.Limits{Total: 1, PerPeer: 1}, Logger: slog.New(slog.NewTextHandler(&log, nil)), Name: transport.AdminListener, Metrics: transport.NewMetrics(registry),
		}).Listen(inner)
		began := time.Now()
		if _, err := l.Accept(); err != nil {
			t.Fatalf("Accept() = %v, want the connection that came in the end", err)
		}
		// 5 10 20 40 80 160 320 640 1000 × 5 ms: the fake clock shows the pauses exactly.
		if got, want := time.Since(began), 6275*time.Millisecond; got != want {
			t.Errorf("Accept paused for %v, want %v", got, want)
		}
		if lines := strings.Count(log.String(), "\n"); lines < 2 || lines > 8 {
			t.Errorf("%d lines were logged in %v, want one a second:\n%s", lines, time.Since(began), &log)
		}
		want := map[string]float64{"ECONNABORTED admin": 1, "EMFILE admin": 1, "ENFILE admin": 1, "ENOBUFS admin": 1, "ENOMEM admin": 1, "other admin": 8}
		if diff := cmp.Diff(want, acceptErrors(t, registry)); diff != "" {
			t.Errorf("playgate_accept_errors_total (-want +got):\n%s", diff)
		}
	})
}

// acceptErrors returns the counters of failed accepts by their labels.
func acceptErrors(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "playgate_accept_errors_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			out[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return out
}

func TestAcceptEndsWithTheListener(t *testing.T) {
	t.Parallel()
	limits := transport.Limits{Total: 1, PerPeer: 1}
	t.Run("closed below", func(t *testing.T) {
		t.Parallel()
		inner := newScripted()
		_ = inner.Close()
		if _, err := transport.New(transport.Config{Limits: limits}).Listen(inner).Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept() = %v, want net.ErrClosed", err)
		}
	})
	t.Run("no socket", func(t *testing.T) {
		t.Parallel()
		inner := newScripted(acceptError(syscall.EBADF))
		if _, err := transport.New(transport.Config{Limits: limits}).Listen(inner).Accept(); !errors.Is(err, syscall.EBADF) {
			t.Errorf("Accept() = %v, want EBADF", err)
		}
	})
	t.Run("closed while it pauses", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			inner := newScripted(acceptError(syscall.EMFILE))
			l := transport.New(transport.Config{Limits: limits}).Listen(inner)
			began := time.Now()
			go func() { _ = l.Close() }()
			if _, err := l.Accept(); err == nil {
				t.Error("Accept() = nil, want an error")
			}
			if got := time.Since(began); got > 5*time.Millisecond {
				t.Errorf("Accept returned after %v, want at once", got)
			}
		})
	})
}

// accepted lets connections come, and returns those that Accept gives.
func accepted(t *testing.T, limits transport.Limits, peers ...*peer) map[*peer]*transport.Conn {
	t.Helper()
	inner := newScripted()
	for _, p := range peers {
		inner.results <- p
	}
	close(inner.results)
	l := transport.New(transport.Config{Limits: limits, Exempt: func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.1") }}).Listen(inner)
	out := map[*peer]*transport.Conn{}
	for {
		c, err := l.Accept()
		if err != nil {
			return out
		}
		conn := c.(*transport.Conn)
		out[conn.Conn.(*peer)] = conn
	}
}

func TestOnePeerCannotHaveAll(t *testing.T) {
	t.Parallel()
	limits := transport.Limits{Total: 100, PerPeer: 2}
	for _, test := range []struct {
		name  string
		peers []*peer
		want  []bool
	}{
		{"an IPv4 address", []*peer{from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.2")}, []bool{true, true, false, true}},
		{"mapped is the same", []*peer{from("192.0.2.1"), from("::ffff:192.0.2.1"), from("::ffff:192.0.2.1")}, []bool{true, true, false}},
		{"an IPv6 /64", []*peer{from("2001:db8::1"), from("2001:db8::2"), from("2001:db8::3"), from("2001:db8:0:1::1")}, []bool{true, true, false, true}},
		{"a trusted proxy", []*peer{from("10.0.0.1"), from("10.0.0.1"), from("10.0.0.1")}, []bool{true, true, true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := accepted(t, limits, test.peers...)
			for n, p := range test.peers {
				if _, ok := got[p]; ok != test.want[n] || p.wasClosed() == ok {
					t.Errorf("connection %d of %s: accepted %v, closed %v, want accepted %v", n, p.address, ok, p.wasClosed(), test.want[n])
				}
			}
		})
	}
}

func TestAClosedConnectionGivesItsPlaceBackOnce(t *testing.T) {
	t.Parallel()
	inner := newScripted()
	l := transport.New(transport.Config{Limits: transport.Limits{Total: 9, PerPeer: 1}}).Listen(inner)
	for n := range 3 {
		inner.results <- from("192.0.2.1")
		c, err := l.Accept()
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		_ = c.Close()
		_ = c.Close() // fasthttp and a handler may both close it
	}
	first, second := from("192.0.2.1"), from("192.0.2.1")
	inner.results <- first
	inner.results <- second
	close(inner.results)
	_, _ = l.Accept()
	_, _ = l.Accept()
	if first.wasClosed() || !second.wasClosed() {
		t.Errorf("closed: the first %v, the second %v, want only the second", first.wasClosed(), second.wasClosed())
	}
}

func TestTheLongestIdleMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := newScripted()
		l := transport.New(transport.Config{Limits: transport.Limits{Total: 3, PerPeer: 3}}).Listen(inner)
		accept := func(address string) (*peer, *transport.Conn) {
			p := from(address)
			inner.results <- p
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // of the fake clock
			return p, c.(*transport.Conn)
		}
		busy, busyConn := accept("192.0.2.1")
		busyConn.Busy()
		silent, _ := accept("192.0.2.2")
		served, servedConn := accept("192.0.2.3")
		servedConn.Busy()
		servedConn.Idle(time.Now())
		time.Sleep(time.Second)
		newest, newestConn := accept("192.0.2.4")
		if !silent.wasClosed() || busy.wasClosed() || served.wasClosed() || newest.wasClosed() {
			t.Fatalf("closed: silent %v, busy %v, served %v, newest %v, want only the silent one", silent.wasClosed(), busy.wasClosed(), served.wasClosed(), newest.wasClosed())
		}
		servedConn.Busy()
		newestConn.Busy()
		refused := from("192.0.2.5")
		inner.results <- refused
		_ = time.AfterFunc(time.Second, func() { _ = inner.Close() })
		if _, err := l.Accept(); err == nil || !refused.wasClosed() {
			t.Errorf("with all connections busy: err %v, closed %v, want the newcomer refused", err, refused.wasClosed())
		}
		if busy.wasClosed() || served.wasClosed() || newest.wasClosed() {
			t.Error("a connection whose request is being answered was closed")
		}
	})
}
