package server

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// dispatch runs a request through the stages of contract §8, in their order:
// the first that fails answers.
func (s *Server) dispatch(c *fiber.Ctx, x *middleware.Exchange) error {
	r, err := s.route(c, x)
	if r == nil {
		return err
	}
	if err := readBody(c, x, r); err != nil {
		return err
	}
	if err := s.admit(c, x, r); err != nil {
		return err
	}
	return r.handle(s, r, c, x)
}

// route finds the route that serves the request. nil without an error: the
// request is answered already.
func (s *Server) route(c *fiber.Ctx, x *middleware.Exchange) (*compiled, error) {
	middleware.ClientIP(c, x)
	if err := checkTarget(&c.Request().Header); err != nil {
		c.Context().SetConnectionClose()
		timed(c.Context().Conn()).linger()
		return nil, err
	}
	s.warnOfProxy(c, x)
	middleware.Host(c, x)
	r, values := s.routes.find(c.Path(), x.Root)
	if r == nil || s.networkPath(c) {
		return nil, playback.Errorf(playback.CodeNotFound, "There is no such path.").Because(s.unroutable(c, x))
	}
	x.Endpoint, x.Values = &r.Endpoint, values
	method := c.Method()
	if method == fiber.MethodOptions && !r.mount {
		c.Set(fiber.HeaderAllow, r.allow)
		c.Status(fiber.StatusNoContent)
		return nil, nil //nolint:nilnil // nil: answered
	}
	if !r.serves(method) {
		c.Set(fiber.HeaderAllow, r.allow)
		return nil, playback.Errorf(playback.CodeMethodNotAllowed, "This path has %s.", r.allow)
	}
	return r, nil
}

// unroutable says why a path leads nowhere.
func (s *Server) unroutable(c *fiber.Ctx, x *middleware.Exchange) error {
	switch {
	case s.networkPath(c):
		return errors.New("the target begins with two slashes, which some take for a host")
	case x.Root != tenant.RootNone:
		return fmt.Errorf("the host begins with %s., which serves the redirects alone, without /%s in front", x.Root, x.Root)
	}
	return fmt.Errorf("no route has this path; the host is %.100q", x.Authority)
}

// networkPath reports whether the request's target starts with two slashes,
// which fasthttp may have read as the name of a host.
func (*Server) networkPath(c *fiber.Ctx) bool {
	target := c.Request().Header.RequestURI()
	return len(target) > 1 && target[0] == '/' && target[1] == '/'
}

// admit settles who asks and whether they may ask now and from here, if the route
// wants to know.
func (s *Server) admit(c *fiber.Ctx, x *middleware.Exchange, r *compiled) error {
	if r.access == open {
		return nil
	}
	s.auth.Inspect(c, x)
	if err := s.limits.Address(x); err != nil {
		return err
	}
	if err := s.auth.Authenticate(x); err != nil {
		return err
	}
	if err := middleware.CrossSite(c, x); err != nil {
		return err
	}
	if err := s.limits.Caller(x); err != nil {
		return err
	}
	return middleware.Permit(x, r.permission(c.Method()))
}

// checkLength refuses a body whose declared length is beyond the route's limit.
func checkLength(c *fiber.Ctx, r *compiled) error {
	if c.Request().Header.ContentLength() > r.limit { // negative: chunked, or none
		return tooLarge(c, r)
	}
	return nil
}

// readBody reads the body, as far as the route wants it and its limit allows.
// fasthttp hands it over unread (StreamRequestBody), so that a path that does
// not exist is 404 whatever its body. What is left of a body that is too large
// is never read: the connection is closed.
func readBody(c *fiber.Ctx, x *middleware.Exchange, r *compiled) error {
	if err := checkLength(c, r); err != nil {
		return err
	}
	length := c.Request().Header.ContentLength() // -1: chunked, other negatives: none
	stream := c.Context().RequestBodyStream()
	if r.body == ignored || stream == nil {
		return nil
	}
	x.Now = time.Time{} // it may have to be waited for
	b, err := readUpTo(stream, x.Body[:0], length, r.limit)
	x.Body = b
	switch {
	case err != nil:
		c.Context().SetConnectionClose()
		return brokenBody(err)
	case len(b) > r.limit:
		return tooLarge(c, r)
	case length >= 0 && len(b) != length:
		c.Context().SetConnectionClose()
		return brokenBody(io.ErrUnexpectedEOF)
	}
	return nil
}

// readUpTo reads a stream of the given length (-1 unknown) to its end, or to
// one byte beyond the limit. The buffer grows with what has arrived, not with
// what was announced: nobody has proved who they are yet.
func readUpTo(stream io.Reader, b []byte, length, limit int) ([]byte, error) {
	const step = 4 << 10
	want := step
	if length >= 0 {
		want = min(step, length+1) // room to see the end
	}
	for len(b) <= limit {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, max(want, 2*cap(b))), b...)
		}
		n, err := stream.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

func tooLarge(c *fiber.Ctx, r *compiled) error {
	c.Context().SetConnectionClose()
	timed(c.Context().Conn()).linger()
	cause := errors.New("it came in chunks, more than that")
	if length := c.Request().Header.ContentLength(); length >= 0 {
		cause = fmt.Errorf("its declared length is %d", length)
	}
	return playback.Errorf(playback.CodePayloadTooLarge, "The body is larger than %d bytes.", r.limit).Because(cause)
}

// brokenBody is the refusal of a body that did not arrive.
func brokenBody(err error) error {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return requestTimeout().Because(err)
	}
	return invalidRequest().Because(err)
}
