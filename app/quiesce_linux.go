package app

import (
	"net"

	"golang.org/x/sys/unix"
)

// quiesce makes the kernel drop new connection attempts on the listener, so
// that the accept loop can take those that are complete; it reports whether
// that is worth waiting for. Closing a listener resets
// what waits in its queue: clients that are connected, and may have sent a
// request, would lose it. With a filter that lets no packet in, the queue runs
// empty first; whoever was dropped tries again a second later and is refused,
// which balancers understand. Sockets of connections made before are not
// affected. It is best effort: without it a stop is as it always was.
func quiesce(l net.Listener) bool {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	dropAll := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	var attached error
	err = raw.Control(func(fd uintptr) {
		attached = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: 1, Filter: &dropAll[0]})
	})
	return err == nil && attached == nil
}
