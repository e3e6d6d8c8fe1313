package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"

	"github.com/valyala/fasthttp"
)

// strictListener gives connections that check what is read from them, as framing
// has it. It belongs above TLS.
type strictListener struct{ net.Listener }

func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	strict := newStrictConn(c)
	if secure, ok := c.(*tls.Conn); ok {
		return &strictTLSConn{strict, secure}, nil
	}
	return strict, nil
}

// strictConn reads well-formed messages only.
type strictConn struct {
	net.Conn

	framing framing
	fault   error // the connection cannot be read any further
}

func newStrictConn(inner net.Conn) *strictConn {
	return &strictConn{Conn: inner, framing: newFraming()}
}

// Read reads up to the first malformed byte. What comes there is an error, this
// time and ever after. fasthttp gets what stands before it: the requests that were
// complete are answered, and the one that is not is refused.
func (c *strictConn) Read(p []byte) (int, error) {
	if c.fault != nil {
		return 0, c.fault
	}
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	good, fault := c.framing.check(p[:n])
	if fault == nil {
		return n, err
	}
	c.fault = fault
	if !c.framing.started {
		// fasthttp answers nothing if it has got no byte of the request but line
		// ends. It gets one with which no request begins.
		p[good] = 0
		good++
	}
	if good == 0 {
		return 0, fault
	}
	return good, nil
}

// strictTLSConn is a strictConn above TLS, which fasthttp recognizes by these methods.
type strictTLSConn struct {
	*strictConn

	secure *tls.Conn
}

func (c *strictTLSConn) Handshake() error { return c.secure.HandshakeContext(context.Background()) }

func (c *strictTLSConn) ConnectionState() tls.ConnectionState { return c.secure.ConnectionState() }

// checkTarget refuses a request whose target or Host names no single host. framing
// has checked the characters of the target, and that there is one Host at most.
func checkTarget(h *fasthttp.RequestHeader) error {
	host, target := h.Host(), h.RequestURI()
	if len(host) > 0 && !isHost(host) {
		return invalidRequest().Because(errors.New("the field Host is not a name or an address with an optional port"))
	}
	if target[0] == '/' || len(target) == 1 { // fasthttp allows "*" for OPTIONS alone
		return nil
	}
	scheme, rest, _ := bytes.Cut(target, []byte("://"))
	if !bytes.EqualFold(scheme, []byte("http")) && !bytes.EqualFold(scheme, []byte("https")) {
		return invalidRequest().Because(errors.New("the target is neither a path nor the URL of one"))
	}
	authority := rest
	if end := bytes.IndexAny(rest, "/?"); end >= 0 {
		authority = rest[:end]
	}
	switch {
	case !isHost(authority):
		return invalidRequest().Because(errors.New("the target's host is not a name or an address with an optional port"))
	case len(host) > 0 && !bytes.EqualFold(host, authority):
		// Which of them counts is for the target to say (RFC 9112 §3.2.2), but not
		// everybody in front listens.
		return invalidRequest().Because(errors.New("the target and Host name different hosts"))
	}
	return nil
}

// isHost reports whether text is a host with an optional port: a name of letters,
// digits, "-", "_", "~" and ".", an IPv4 address, or an IPv6 address in brackets.
// RFC 3986 has names of other characters too, none of which is in DNS.
func isHost(text []byte) bool {
	if inner, bracket := bytes.CutPrefix(text, []byte("[")); bracket {
		literal, port, closed := bytes.Cut(inner, []byte("]"))
		address, err := netip.ParseAddr(string(literal))
		return closed && err == nil && address.Is6() && address.Zone() == "" && isPort(port)
	}
	n := 0
	for n < len(text) && isNameByte(text[n]) {
		n++
	}
	return n > 0 && isPort(text[n:])
}

func isNameByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// isPort reports whether text is empty or ":" with at most five digits behind it.
func isPort(text []byte) bool {
	if len(text) == 0 {
		return true
	}
	if text[0] != ':' || len(text) > len(":65535") {
		return false
	}
	for _, c := range text[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
