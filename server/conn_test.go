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
}

func (r *recorder) Read([]byte) (int, error)  { return 0, nil }
func (r *recorder) Write([]byte) (int, error) { return 0, nil }

func (r *recorder) SetReadDeadline(t time.Time) error {
	r.reads = append(r.reads, t)
	return r.broken
}

func (r *recorder) SetWriteDeadline(t time.Time) error {
	r.writes = append(r.writes, t)
	return r.broken
}

// one is a listener of one connection.
type one struct {
	net.Listener // nil

	conn net.Conn
}

func (o one) Accept() (net.Conn, error) {
	if o.conn == nil {
		return nil, net.ErrClosed
	}
	return o.conn, nil
}

func lazy(t testing.TB, c net.Conn) net.Conn {
	t.Helper()
	out, err := server.LazyDeadlines(one{conn: c}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDeadlineInForceIsNeverLater than what was asked for, nor earlier by more
// than a quarter of a second, whenever a call begins.
func TestDeadlineInForceIsNeverLater(t *testing.T) {
	t.Parallel()
	start := time.Now().Add(time.Hour) // later than the connection
	after := start.Add
	for name, c := range map[string]struct{ asked, want []time.Time }{
		"none":             {[]time.Time{{}}, []time.Time{{}}},
		"the same":         {[]time.Time{after(time.Minute), after(time.Minute)}, []time.Time{after(time.Minute)}},
		"a little later":   {[]time.Time{after(time.Minute), after(time.Minute + 250*time.Millisecond)}, []time.Time{after(time.Minute)}},
		"later":            {[]time.Time{after(time.Second), after(2 * time.Second)}, []time.Time{after(time.Second), after(2 * time.Second)}},
		"little by little": {[]time.Time{after(0), after(200 * time.Millisecond), after(400 * time.Millisecond)}, []time.Time{after(0), after(400 * time.Millisecond)}},
		"earlier":          {[]time.Time{after(time.Minute), after(time.Minute - time.Nanosecond)}, []time.Time{after(time.Minute), after(time.Minute - time.Nanosecond)}},
		"taken back":       {[]time.Time{after(time.Minute), {}, after(time.Minute)}, []time.Time{after(time.Minute), {}, after(time.Minute)}},
	} {
		inner := &recorder{}
		conn := lazy(t, inner)
		for _, at := range c.asked {
			if err := errors.Join(conn.SetReadDeadline(at), conn.SetWriteDeadline(at)); err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Read(nil)
			_, _ = conn.Write(nil)
			_, _ = conn.Read(nil)
		}
		for _, got := range [][]time.Time{inner.reads, inner.writes} {
			if len(got) != len(c.want) {
				t.Errorf("%s: told %v, want %v", name, got, c.want)
				continue
			}
			for n := range got {
				if late := got[n].Sub(c.want[n]); got[n].IsZero() != c.want[n].IsZero() || !got[n].IsZero() && late > 0 {
					t.Errorf("%s: deadline %d is %v, want %v", name, n, got[n], c.want[n])
				}
			}
		}
	}
}

func TestDeadlineThatCannotBeSetFailsTheCall(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	conn := lazy(t, &recorder{broken: broken})
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := conn.Read(nil); !errors.Is(err, broken) {
			t.Errorf("Read = %v", err)
		}
		if _, err := conn.Write(nil); !errors.Is(err, broken) {
			t.Errorf("Write = %v", err)
		}
	}
	if _, err := server.LazyDeadlines(one{}).Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v", err)
	}
}

// TestDeadlineReachesACallUnderWay: as Shutdown and TLS need it.
func TestDeadlineReachesACallUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner, other := net.Pipe()
		defer other.Close()
		conn := lazy(t, inner)
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

// BenchmarkDeadlines is what fasthttp does to a connection for one request,
// over loopback: eager as net has it, lazy as the gateway does.
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
	lazily := lazy(b, inner)
	for name, conn := range map[string]net.Conn{"eager": inner, "lazy": lazily} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
				_, _ = lazily.Write(nil)
				_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
				_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			}
		})
	}
}
