package server

import (
	"bytes"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/tenant"
)

// expectation is a request whose client waits for "100 Continue" before it sends
// the body (RFC 9110 §10.1.1). It has passed every stage that needs no body.
type expectation struct {
	c *fiber.Ctx
	x *middleware.Exchange
	r *compiled
}

// expectationKey is where fasthttp's context keeps the expectation of its
// request. fasthttp forgets it with the request.
type expectationKey struct{}

// expect is called before the body of a request that expects 100-continue is
// read, and returns 100 if it is wanted. Route, length and credential come
// first, so that nobody sends a body in vain, or has one read who may not send
// any. Any other status is that of the answer, which is complete, and fasthttp
// closes the connection: the body may be on its way.
func (s *Server) expect(rc *fasthttp.RequestCtx) int {
	c := s.acquire(rc)
	x := s.begin(c)
	var r *compiled
	err := s.guard(c, x, func(c *fiber.Ctx, x *middleware.Exchange) (err error) {
		if r, err = s.route(c, x); r == nil {
			return err
		}
		if err := checkLength(c, r); err != nil {
			return err
		}
		return s.admit(c, x, r)
	})
	if r != nil && err == nil {
		timed(rc.Conn()).receive()
		rc.SetUserValue(expectationKey{}, &expectation{c, x, r})
		return fasthttp.StatusContinue
	}
	defer s.app.ReleaseCtx(c)
	defer x.Close()
	s.finish(c, x, err)
	timed(rc.Conn()).linger()
	return rc.Response.StatusCode()
}

// resume answers a request whose body was waited for. Where it does not arrive,
// the expectation is left to the garbage collector.
func (s *Server) resume(e *expectation) {
	defer s.app.ReleaseCtx(e.c)
	defer e.x.Close()
	s.finish(e.c, e.x, s.guard(e.c, e.x, func(c *fiber.Ctx, x *middleware.Exchange) error {
		timed(c.Context().Conn()).received()
		b := bodyOf(c, x, e.r)
		if err := b.read(e.r.limit); err != nil {
			return err
		}
		return e.r.handle(s, e.r, c, x)
	}))
}

// headerReceived is called when a header has arrived. fasthttp waits for the
// first byte of a declared body before it calls the handler, however large the
// body: one that is refused for its length is refused at once if it looks as if
// its client waited for "100 Continue", which it then never gets.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) (unchanged fasthttp.RequestConfig) {
	if length := h.ContentLength(); length > maxBody && length > s.limitOf(h) {
		h.Set(fiber.HeaderExpect, "100-continue")
	}
	return unchanged
}

// limitOf returns the most bytes of body that a request may have, whichever host
// it means: hosts differ in the paths that they serve.
func (s *Server) limitOf(h *fasthttp.RequestHeader) int {
	path := h.RequestURI()
	if len(path) == 0 || path[0] != '/' { // absolute form
		u := fasthttp.AcquireURI()
		defer fasthttp.ReleaseURI(u)
		if u.Parse(h.Host(), path) != nil {
			return maxBody
		}
		path = u.PathOriginal()
	}
	if end := bytes.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	most := maxBody
	for _, root := range [...]tenant.Root{tenant.RootNone, tenant.RootStream, tenant.RootImage} {
		if r, _ := s.routes.find(string(path), root); r != nil {
			most = max(most, r.limit)
		}
	}
	return most
}
