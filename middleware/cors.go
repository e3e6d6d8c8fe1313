package middleware

import (
	"slices"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
)

// The headers of contract §3.
const (
	corsAllowHeaders = "authorization, content-type, range, soapaction, baggage, traceparent, " +
		"cmcd-object, cmcd-request, cmcd-session, cmcd-status"
	corsExposeHeaders = "X-Request-Id, X-Playgate-Cache, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
	// corsMaxAge (seconds) is how long a browser may remember a preflight:
	// long enough to matter, short enough for a changed cors_origins.
	corsMaxAge = "600"
)

// WriteCORS sets the CORS headers of an answer that is otherwise complete, an
// error included: a page must be able to read why it was refused. It does
// nothing on routes that pages do not call.
func WriteCORS(c *fiber.Ctx, x *Exchange) {
	if x.Endpoint == nil || !x.Endpoint.CORS {
		return
	}
	h := &c.Response().Header
	h.SetCanonical([]byte(fiber.HeaderVary), []byte(fiber.HeaderOrigin))
	if len(c.Request().Header.PeekCanonical([]byte(fiber.HeaderOrigin))) == 0 {
		return // most players' requests: no list of lines is made for them
	}
	origin, ok := originOf(c)
	if !ok || origin == "" {
		return
	}
	allowed, credentials := x.admits(origin)
	if allowed == "" {
		return
	}
	h.Set(fiber.HeaderAccessControlAllowOrigin, allowed)
	if credentials {
		h.Set(fiber.HeaderAccessControlAllowCredentials, "true")
	}
	if Preflight(c) {
		h.Set(fiber.HeaderAccessControlAllowHeaders, corsAllowHeaders)
		h.Set(fiber.HeaderAccessControlMaxAge, corsMaxAge)
		h.SetBytesV(fiber.HeaderAccessControlAllowMethods, h.Peek(fiber.HeaderAllow))
		return
	}
	h.Set(fiber.HeaderAccessControlExposeHeaders, corsExposeHeaders)
}

// Preflight reports whether the request is a CORS preflight (Fetch standard,
// "CORS-preflight request").
func Preflight(c *fiber.Ctx) bool {
	return c.Method() == fiber.MethodOptions &&
		c.Get(fiber.HeaderOrigin) != "" && c.Get(fiber.HeaderAccessControlRequestMethod) != ""
}

// originOf returns the request's Origin as a view, "" if there is none, and
// false if there are several: no browser sends that.
func originOf(c *fiber.Ctx) (string, bool) {
	lines := c.Request().Header.PeekAll(fiber.HeaderOrigin)
	switch len(lines) {
	case 0:
		return "", true
	case 1:
		return utils.UnsafeString(lines[0]), true
	}
	return "", false
}

// admits returns what Access-Control-Allow-Origin says to an origin, "" for
// nothing, and whether credentials are allowed. Once the request's environment
// is known, that is the environment's word. Before, it is the preflight's rule:
// the environment that the host names, else any that lists the origin.
func (x *Exchange) admits(origin string) (allowed string, credentials bool) {
	if e := x.Environment; e != nil {
		return e.admits(origin)
	}
	if e := x.Host; e != nil {
		return e.admits(origin)
	}
	for _, e := range x.Snapshot.environments {
		a, cred := e.admits(origin)
		if a == origin || allowed == "" {
			allowed = a // an origin that is listed itself beats "*"
		}
		credentials = credentials || cred
	}
	return allowed, credentials
}

func (e *Environment) admits(origin string) (allowed string, credentials bool) {
	if !e.AllowsOrigin(origin) {
		return "", false
	}
	if slices.Contains(e.CORSOrigins, origin) {
		return origin, e.ViewerCookie != ""
	}
	return "*", false // with a cookie, "*" is a configuration error
}
