package middleware

import (
	"net/netip"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// Endpoint is what the adapters must know of a route.
type Endpoint struct {
	// Route is the template, such as "/stream/{id}.m3u8": the only form of a
	// path that labels a metric.
	Route string
	// Number is the route's place among all, from 1: an index for what is kept
	// per route. 0 is no route.
	Number int
	// CORS: pages of cors_origins may call it.
	CORS bool
	// Backend: only backends may call it, with an access token.
	Backend bool
	// ViewerQuery: the query may carry the viewer token (contract §3), when
	// the method is GET or HEAD.
	ViewerQuery bool
}

// Kind is the kind of a caller.
type Kind uint8

// The kinds. NoCaller is the kind of a request that was answered before its
// caller was known, or that needs none.
const (
	NoCaller Kind = iota
	AnonymousCaller
	ViewerCaller
	BackendCaller
)

// String returns the kind as the access log has it.
func (k Kind) String() string {
	switch k {
	case AnonymousCaller:
		return "anonymous"
	case ViewerCaller:
		return "viewer"
	case BackendCaller:
		return "backend"
	case NoCaller:
	}
	return "none"
}

// Outcome is what the access log says of the answer beyond its status.
type Outcome struct {
	Code  playback.Code // of the error answered, "" for none
	Cause error         // private, never sent to the client
	Stack []byte        // of a panic
	Rule  string
	Cache string // hit, miss, or "" where nothing was signed
	// Degraded names what the answer had to do without: keys, or "".
	Degraded string
	Failed   int // items of a batch that failed
	// Internal: the gateway itself failed, wholly or for an item of a batch.
	Internal bool
}

// Exchange is one request and what became known of it so far.
type Exchange struct {
	ID       string // the request ID; valid as long as the Exchange
	Started  time.Time
	Now      time.Time // Started, until something had to be waited for: then zero, and the clock tells
	Snapshot *Snapshot
	Server   any       // the server's own counterpart of Snapshot
	Endpoint *Endpoint // nil until routed
	Values   [2]string // what the placeholders of the route hold; views

	// Peer is the address of the connection, Client that of the client behind
	// the trusted proxies. Zero where the connection has no IP address.
	Peer, Client netip.Addr
	// Proxied: the peer is a trusted proxy.
	Proxied bool
	// Secure: the client speaks https, to us or to a trusted proxy.
	Secure bool
	// Authority is host[:port] as the client wrote it; a view.
	Authority string
	// Host is the environment that lists the request's host, nil for none.
	Host *Environment
	Root tenant.Root

	// Environment is nil until it is known whose request this is.
	Environment *Environment
	Kind        Kind
	Viewer      *playback.Viewer    // who asks: of viewers and anonymous callers
	Token       *tenant.AccessToken // of backends

	Outcome Outcome

	// Body and Buf are memory of the exchange, for the request's body and the
	// answer's.
	Body, Buf []byte

	credential credential
	applied    applied
	moment     moment
	key        []byte
	id         [maxRequestID]byte // what ID is a view of
}

// The buffers that an Exchange brings back to the pool, bytes. Bodies are read
// before anybody is known: the memory of a large one goes to whoever needs it next.
const (
	maxPooledBody   = 4 << 10
	maxPooledAnswer = 64 << 10
)

var exchanges = sync.Pool{New: func() any { return new(Exchange) }} //nolint:gochecknoglobals // a pool has no state that anyone can observe

// Open begins the exchange of a request that came now. Who has answered the
// request closes it.
func Open(now time.Time) *Exchange {
	x := exchanges.Get().(*Exchange) //nolint:forcetypeassert // the pool holds nothing else
	x.Started, x.Now = now, now
	return x
}

// Close ends the exchange: its memory is another's from now on.
func (x *Exchange) Close() {
	giveBack(x.Body)
	*x = Exchange{Body: recycled(x.Body, maxPooledBody), Buf: recycled(x.Buf, maxPooledAnswer), key: x.key[:0]}
	exchanges.Put(x)
}

func recycled(b []byte, most int) []byte {
	if cap(b) > most {
		return nil
	}
	return b[:0]
}
