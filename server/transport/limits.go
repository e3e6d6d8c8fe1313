package transport

// What a connection takes at most before anybody is known on it, bytes: the
// buffer of its header (16 KiB) and of its answer, the stack of its goroutine,
// and as much again for the garbage collector's room.
const connectionCost = 40 << 10

// The descriptors that are kept for everything but connections of the listener:
// key files, the store, the admin listener, and the clients of Vault, Mux and
// identity providers.
const (
	leastReserve = 64
	mostReserve  = 1024
)

// Derive returns the limits that are in force where the configuration leaves
// them open (0), for a process that may have so many descriptors and so many
// bytes of memory (0: nobody limits it). Connections get three quarters of the
// descriptors, and half of the memory at most; one peer gets a quarter of them.
func Derive(configured Limits, descriptors, memory uint64) Limits {
	l := configured
	reserve := min(mostReserve, max(leastReserve, descriptors/4))
	available := 1
	if descriptors > reserve {
		available = int(min(descriptors-reserve, 1<<20))
	}
	if l.Total == 0 {
		l.Total = available
		if memory > 0 {
			l.Total = max(1, min(l.Total, int(min(memory/2/connectionCost, 1<<20))))
		}
	}
	l.Total = min(l.Total, available)
	if l.PerPeer == 0 {
		l.PerPeer = max(1, l.Total/4)
	}
	l.PerPeer = min(l.PerPeer, l.Total)
	return l
}
