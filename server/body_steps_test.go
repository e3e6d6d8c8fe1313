package server_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ready is a connection whose client has sent everything before it is read.
type ready struct {
	net.Conn

	sent   io.Reader
	answer bytes.Buffer
}

func (r *ready) Read(p []byte) (int, error)     { return r.sent.Read(p) }
func (r *ready) Write(p []byte) (int, error)    { return r.answer.Write(p) }
func (*ready) Close() error                     { return nil }
func (*ready) SetDeadline(time.Time) error      { return nil }
func (*ready) SetReadDeadline(time.Time) error  { return nil }
func (*ready) SetWriteDeadline(time.Time) error { return nil }
func (*ready) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

func (*ready) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 4000} }

// TestReadingALargeBodyLetsOthersRun: on one processor another goroutine runs while
// a body is read that never has to be waited for, again and again.
func TestReadingALargeBodyLetsOthersRun(t *testing.T) { //nolint:paralleltest // has one processor for the process
	k := start(t, options{})
	k.hooks.will("applied", nil)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const size = 1 << 20
	head := message("POST", hooks+"acme-prod", "", []string{"Mux-Signature: t=1,v1=00", "Connection: close", "Content-Length: " + strconv.Itoa(size)})
	c := &ready{sent: io.MultiReader(strings.NewReader(head), strings.NewReader(strings.Repeat(" ", size)))}
	var ran atomic.Int64
	var over atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !over.Load() {
			ran.Add(1)
			runtime.Gosched()
		}
	}()
	err := k.server.ServeConn(c)
	turns := ran.Load()
	over.Store(true)
	<-ended
	if err != nil || !strings.HasPrefix(c.answer.String(), "HTTP/1.1 200 ") {
		t.Fatalf("the answer is %.200q, %v", c.answer.String(), err)
	}
	if want := int64(size/(32<<10)) * 3 / 4; turns < want {
		t.Errorf("another goroutine ran %d times while %d bytes were read, want at least %d", turns, size, want)
	}
}
