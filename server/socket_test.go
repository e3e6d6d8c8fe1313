package server_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/playgate/playgate/server"
)

// connected returns both ends of a connection over a network, the first as the
// server sees it.
func connected(t *testing.T, network, address string) (ours, theirs net.Conn) {
	t.Helper()
	var bind net.ListenConfig
	l, err := bind.Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var dialer net.Dialer
	theirs, err = dialer.DialContext(t.Context(), network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ours = server.Nonblocking(accepted)
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return ours, theirs
}

// TestSocketIsAConnection by the rules that package net keeps: deadlines, calls
// side by side, an end while one waits.
func TestSocketIsAConnection(t *testing.T) {
	t.Parallel()
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		nettest.TestConn(t, func() (ours, theirs net.Conn, stop func(), err error) {
			ours, theirs = connected(t, network, address)
			return ours, theirs, func() { _, _ = ours.Close(), theirs.Close() }, nil
		})
	}
}

// TestSocketWritesWhatDoesNotFitAtOnce.
func TestSocketWritesWhatDoesNotFitAtOnce(t *testing.T) {
	t.Parallel()
	ours, theirs := connected(t, "tcp", "127.0.0.1:0")
	sent := make([]byte, 16<<20)
	if _, err := rand.Read(sent); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := ours.Write(sent)
		done <- errors.Join(err, ours.Close())
	}()
	got, err := io.ReadAll(theirs)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes arrived of %d, or others", len(got), len(sent))
	}
}

// TestSocketSaysHowItEnded: an end is io.EOF, anything else is named.
func TestSocketSaysHowItEnded(t *testing.T) {
	t.Parallel()
	ours, theirs := connected(t, "tcp", "127.0.0.1:0")
	if err := theirs.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // io.Reader: itself, not wrapped
		t.Errorf("read %d, %v at the end", n, err)
	}

	ours, theirs = connected(t, "tcp", "127.0.0.1:0")
	if err := errors.Join(theirs.(*net.TCPConn).SetLinger(0), theirs.Close()); err != nil { // a reset
		t.Fatal(err)
	}
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %v after a reset", err)
	}
	if _, err := ours.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("wrote %v after a reset", err)
	}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read %v of what is closed", err)
	}
}

// TestSocketAllocatesNothing for a call.
func TestSocketAllocatesNothing(t *testing.T) {
	ours, theirs := connected(t, "tcp", "127.0.0.1:0")
	if err := ours.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	there, here := []byte("x"), make([]byte, 1)
	got := testing.AllocsPerRun(100, func() {
		_, err := theirs.Write(there)
		_, err2 := ours.Read(here)
		_, err3 := ours.Write(here)
		_, err4 := theirs.Read(here)
		if err := errors.Join(err, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("%v allocations for a read and a write", got)
	}
}
