package transport

// ConnectionCost is what a connection takes of Limits.Bytes while nothing is
// reserved for it: the buffers of its header and of its answer, the first 4 KiB of
// a body, what the header became when it was parsed, and its goroutine's stack.
// It is an estimate: TestChaosUnfinishedHeaders sends as many headers as it lets in
// and looks whether they fit into the memory.
const ConnectionCost = 48 << 10

// The descriptors that are kept for everything but connections of the listener:
// key files, the store, the admin listener, and the clients of Vault, Mux and
// identity providers.
const (
	leastReserve = 64
	mostReserve  = 1024
)

// Limits bound the connections of a Listener.
type Limits struct {
	Total   int // connections at a time; 0: as many as come
	PerPeer int // of one IPv4 address or IPv6 /64; 0: no limit of its own, so that its idle ones make room
	// Bytes bounds what is in flight: ConnectionCost for each connection, and
	// what is reserved for their requests, which is half of it at most; 0:
	// nothing is counted.
	Bytes int64
}

// Derive returns the limits that are in force where the configuration leaves
// them open (0), for a process that may have so many descriptors. Connections get
// three quarters of the descriptors, as far as Bytes has room for them; one peer
// gets a quarter of the connections.
func Derive(configured Limits, descriptors uint64) Limits {
	l := configured
	reserve := min(mostReserve, max(leastReserve, descriptors/4))
	available := 1
	if descriptors > reserve {
		available = int(min(descriptors-reserve, 1<<20))
	}
	if l.Total == 0 {
		l.Total = available
		if l.Bytes > 0 {
			l.Total = max(1, min(l.Total, int(min(l.Bytes/ConnectionCost, 1<<20))))
		}
	}
	l.Total = min(l.Total, available)
	if l.PerPeer == 0 {
		l.PerPeer = max(1, l.Total/4)
	}
	l.PerPeer = min(l.PerPeer, l.Total)
	return l
}
