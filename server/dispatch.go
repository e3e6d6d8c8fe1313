package server

import (
	"errors"
	"fmt"

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
	if err := checkLength(c, r); err != nil {
		return err
	}
	b := bodyOf(c, x, r)
	if err := b.read(r.unproven()); err != nil {
		return err
	}
	if err := s.admit(c, x, r); err != nil {
		return b.refuse(err)
	}
	if err := b.read(r.limit); err != nil {
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
	switch r.access {
	case open:
		return nil
	case signed:
		return s.admitSigned(c, x)
	case gated, system, known, managed, inspected:
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
