package server_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/server"
)

// recorder is a connection whose calls return at once; it keeps the deadlines
// that it was told.
type recorder struct {
	net.Conn // nil

	reads, writes []time.Time
	broken        error
	read          int // what a Read returns
}

func (r *recorder) Read([]byte) (int, error)  { return r.read, nil }
func (r *recorder) Write([]byte) (int, error) { return 0, nil }

func (r *recorder) SetReadDeadline(t time.Time) error {
	r.reads = append(r.reads, t)
	return r.broken
}

func (r *recorder) SetWriteDeadline(t time.Time) error {
	r.writes = append(r.writes, t)
	return r.broken
}

// TestEveryWaitHasItsTimeout plays the life of a connection. No deadline is later
// than the timeout, nor earlier by more than a quarter of a second.
func TestEveryWaitHasItsTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := &recorder{}
		c := server.NewConn(inner, 5*time.Second)
		check := func(what string, told []time.Time, want time.Duration) {
			t.Helper()
			if len(told) == 0 {
				t.Fatalf("%s: no deadline was set", what)
			}
			if left := time.Until(told[len(told)-1]); left > want || left < want-250*time.Millisecond {
				t.Errorf("%s: it may take %v, want %v", what, left, want)
			}
		}
		read := func(what string, want time.Duration) {
			t.Helper()
			_, _ = c.Read(make([]byte, 1))
			check(what, inner.reads, want)
		}
		write := func(what string, want time.Duration) {
			t.Helper()
			_, _ = c.Write(nil)
			check(what, inner.writes, want)
		}
		time.Sleep(time.Second)
		read("the first request", 4*time.Second)
		time.Sleep(time.Second)
		read("the rest of it", 3*time.Second)
		c.Begin()
		write("100 Continue", 10*time.Second)
		read("its body", 3*time.Second)
		c.Rest(time.Now())
		for range 20 {
			write("the answer", 10*time.Second)
			inner.read = 1
			read("the next request", time.Minute)
			c.Begin()
			c.Rest(time.Now())
			time.Sleep(100 * time.Millisecond)
			inner.read = 0
			read("the next but one", time.Minute-100*time.Millisecond)
			c.Begin()
			c.Rest(time.Now())
		}
		if len(inner.reads) > 3+20*100/250+1 || len(inner.writes) > 2+20*100/250+1 {
			t.Errorf("for 40 requests in 2 s %d and %d deadlines were set", len(inner.reads), len(inner.writes))
		}
		time.Sleep(30 * time.Second)
		inner.read = 1
		read("half a header", 30*time.Second)
		read("the other half", 5*time.Second)
		time.Sleep(4 * time.Second)
		read("the body behind it", time.Second)
		write("a refusal", 10*time.Second)
		c.Rest(time.Now())
		time.Sleep(2 * time.Second)
		c.Begin() // it came with the one before
		read("the body of a pipelined request", 5*time.Second)
		time.Sleep(3 * time.Second)
		read("more of it", 2*time.Second)
	})
}

func TestDeadlineThatCannotBeSetEndsTheCall(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	conn := server.NewConn(&recorder{broken: broken}, time.Second)
	for range 2 {
		if _, err := conn.Read(nil); !errors.Is(err, broken) {
			t.Errorf("Read = %v", err)
		}
		if _, err := conn.Write(nil); !errors.Is(err, broken) {
			t.Errorf("Write = %v", err)
		}
	}
	if err := conn.SetDeadline(time.Now()); !errors.Is(err, broken) {
		t.Errorf("SetDeadline = %v", err)
	}
}

// TestDeadlineReachesACallUnderWay: as Shutdown and TLS need it.
func TestDeadlineReachesACallUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner, other := net.Pipe()
		defer other.Close()
		conn := server.NewConn(inner, time.Hour)
		for _, call := range []func([]byte) (int, error){conn.Read, conn.Write} {
			if err := conn.SetDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			begun := time.Now()
			go func() {
				_, err := call(make([]byte, 1))
				ended <- err
			}()
			synctest.Wait()
			if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != time.Second {
				t.Errorf("the call ended after %v with %v, want after 1s with a timeout", time.Since(begun), err)
			}
			if err := conn.SetDeadline(time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
			if _, err := call(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("with a deadline long ago the call ended with %v", err)
			}
		}
	})
}

// BenchmarkDeadlines is what timeouts cost for one request, over loopback: set by
// fasthttp, and kept by the connection itself.
func BenchmarkDeadlines(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	inner, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer inner.Close()
	b.Run("set", func(b *testing.B) {
		for b.Loop() {
			_ = inner.SetReadDeadline(time.Now().Add(time.Minute))
			_ = inner.SetReadDeadline(time.Now().Add(5 * time.Second))
			_ = inner.SetWriteDeadline(time.Now().Add(10 * time.Second))
			_, _ = inner.Write(nil)
		}
	})
	b.Run("kept", func(b *testing.B) {
		c, now := server.NewConn(inner, time.Second), time.Now() // the clock is read for the log
		for b.Loop() {
			c.Begin()
			c.Rest(now)
			_, _ = c.Write(nil)
		}
	})
}

// TestNobodyWaitsForWhatLingers: fasthttp closes idle connections one after the
// other when it stops, and a connection may become idle and be refused, for
// sending nothing, at the same moment.
func TestNobodyWaitsForWhatLingers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _ = theirs.Close() })
		c := server.NewConn(ours, time.Second)
		c.Linger(open{})
		began := time.Now()
		if err := c.Close(); err != nil || time.Since(began) != 0 {
			t.Errorf("Close = %v after %v, want nil at once", err, time.Since(began))
		}
		if _, err := theirs.Write([]byte("the rest")); err != nil {
			t.Errorf("the client cannot send the rest: %v", err)
		}
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if _, err := theirs.Write([]byte("more")); err == nil {
			t.Error("the connection is open a second after the client's last byte")
		}
	})
}

// open is a connection that closes by halves.
type open struct{}

func (open) CloseWrite() error { return nil }
