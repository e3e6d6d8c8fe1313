package server

import (
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// Nonblocking is what becomes of a connection that was accepted.
func Nonblocking(c net.Conn) net.Conn { return nonblocking(c) }

// CanonicalJSON reads a body and returns it in canonical form, for the fuzz
// test; the error is the code.
func CanonicalJSON(body []byte) (canonical []byte, code string) {
	v, trailing, err := readJSON(body)
	switch {
	case err != nil:
		return nil, string(err.Code)
	case trailing != nil:
		return nil, string(trailing.Code)
	}
	if err := checkNames(&v, ""); err != nil {
		return nil, string(err.Code)
	}
	return appendCanonical(nil, &v), ""
}

// Parse is what a large body goes through, as long as done is not called.
func (s *Server) Parse(body []byte) (done func()) { return s.parse(body) }

// Conn is a connection that keeps the server's timeouts.
type Conn struct{ *conn }

// NewConn returns one whose first request is due after patience.
func NewConn(inner net.Conn, patience time.Duration) Conn { return Conn{newConn(inner, patience)} }

// Begin and Rest tell it of a request.
func (c Conn) Begin()             { c.begin() }
func (c Conn) Rest(now time.Time) { c.rest(now, 0) }

// Linger makes its Close as that of a connection whose request was refused half read.
func (c Conn) Linger(half interface{ CloseWrite() error }) {
	c.half = half
	c.linger()
}

// NewStrictConn returns a connection that is read from as far as it is well-formed.
func NewStrictConn(inner net.Conn) net.Conn { return newStrictConn(inner) }

// ServeConn answers the requests of one connection, which has no timeouts or limits.
func (s *Server) ServeConn(c net.Conn) error { return s.app.Server().ServeConn(newStrictConn(c)) }

// ServeRequests gives a handler the requests of a connection in place of the server's
// own, those that the server would refuse for their target or Host left out.
func (s *Server) ServeRequests(c net.Conn, handle func(*fasthttp.RequestCtx)) error {
	fast := s.app.Server()
	fast.Handler = func(rc *fasthttp.RequestCtx) {
		if checkTarget(&rc.Request.Header) != nil {
			rc.SetConnectionClose()
			return
		}
		handle(rc)
	}
	return fast.ServeConn(newStrictConn(c))
}
