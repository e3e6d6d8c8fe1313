package middleware

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/playback"
)

// CrossSite refuses a request whose credential is a cookie unless it comes
// from a page that may use it (contract §3): browsers attach cookies to what
// any page asks for. Other credentials are sent on purpose, except that
// browsers remember Basic too, once somebody has typed an access token into
// their dialog: what only backends may call, no page of another origin may.
func CrossSite(c *fiber.Ctx, x *Exchange) error {
	if x.Endpoint.Backend {
		switch c.Get("Sec-Fetch-Site") {
		case "cross-site", "same-site":
			return playback.Errorf(playback.CodeCrossSite, "Pages of other origins may not manage anything here.").Because(errors.New(fetchSite(c)))
		}
	}
	if x.credential.carrier != cookieCarrier {
		return nil
	}
	origin, ok := originOf(c)
	var cause error
	switch {
	case !ok:
		cause = errors.New("there are several Origin headers")
	case origin != "":
		if x.Environment.AllowsOrigin(origin) || x.sameOrigin(origin) {
			return nil
		}
		cause = x.unlisted(origin)
	default:
		switch c.Get("Sec-Fetch-Site") {
		case "same-origin", "same-site", "none":
			return nil
		}
		cause = fmt.Errorf("there is no Origin, and %s; want same-origin, same-site or none", fetchSite(c))
	}
	return playback.Errorf(playback.CodeCrossSite, "A cookie counts only from this site and the environment's cors_origins.").Because(cause)
}

// sameOrigin reports whether the origin is that of the request's own URL
// (RFC 6454 §5: scheme, host and port).
func (x *Exchange) sameOrigin(origin string) bool {
	scheme, port := "http://", ":80"
	if x.Secure {
		scheme, port = "https://", ":443"
	}
	host, ok := strings.CutPrefix(origin, scheme)
	return ok && host != "" &&
		strings.EqualFold(strings.TrimSuffix(host, port), strings.TrimSuffix(x.Authority, port))
}
