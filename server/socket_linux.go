package server

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// socket is a connection that reads and writes without telling Go's scheduler of
// the system calls: the socket never blocks, so there is nothing to prepare for.
// A call that the scheduler is told of wakes the runtime's monitor whenever the
// program idled before it, and from then on the monitor looks at it every 70 µs:
// 4,700 times a second while all cores are busy signing, each time in place of a
// signing thread.
type socket struct {
	net.Conn

	raw         syscall.RawConn
	read, write transfer
}

// nonblocking returns the connection as a socket, if it is one of the kernel's.
func nonblocking(c net.Conn) net.Conn {
	inner, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := inner.SyscallConn()
	if err != nil {
		return c
	}
	s := &socket{Conn: c, raw: raw}
	s.read.try = func(fd uintptr) bool { return s.read.once(syscall.SYS_READ, fd) }
	s.write.try = func(fd uintptr) bool { return s.write.once(syscall.SYS_WRITE, fd) }
	return s
}

// Read returns io.EOF when the other side has ended.
func (s *socket) Read(b []byte) (int, error) {
	s.read.mu.Lock()
	defer s.read.mu.Unlock()
	n, err := s.read.await(s.raw.Read, b, "read")
	if n == 0 && err == nil && len(b) > 0 {
		return 0, io.EOF
	}
	return n, err
}

// Write returns when all is written, or nothing more can be.
func (s *socket) Write(b []byte) (int, error) {
	s.write.mu.Lock()
	defer s.write.mu.Unlock()
	written := 0
	for {
		n, err := s.write.await(s.raw.Write, b[written:], "write")
		written += n
		if err != nil || written == len(b) {
			return written, err
		}
	}
}

// transfer is the calls in one direction, which go one after the other.
type transfer struct {
	mu  sync.Mutex
	try func(fd uintptr) (done bool) // made once, so that no call allocates

	b     []byte // of the call under way, with what came of it
	n     int
	errno syscall.Errno
}

// await moves bytes as soon as the socket is ready for some.
func (t *transfer) await(ready func(func(uintptr) bool) error, b []byte, name string) (int, error) {
	t.b, t.n, t.errno = b, 0, 0
	err := ready(t.try)
	t.b = nil
	if err == nil && t.errno != 0 {
		err = os.NewSyscallError(name, t.errno)
	}
	return t.n, err
}

// once makes the system call; false: the socket is not ready.
func (t *transfer) once(call, fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.b))), uintptr(len(t.b))) //nolint:gosec // the call takes addresses
		if errno == syscall.EINTR {
			continue
		}
		if errno == syscall.EAGAIN {
			return false
		}
		t.errno = errno
		if errno == 0 {
			t.n = int(n)
		}
		return true
	}
}
