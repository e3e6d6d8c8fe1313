package middleware

import (
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
			return playback.Errorf(playback.CodeCrossSite, "Pages of other origins may not manage anything here.")
		}
	}
	if x.credential.carrier != cookieCarrier {
		return nil
	}
	origin, ok := originOf(c)
	switch {
	case !ok:
	case origin != "":
		if x.Environment.AllowsOrigin(origin) || x.sameOrigin(origin) {
			return nil
		}
	default:
		switch c.Get("Sec-Fetch-Site") {
		case "same-origin", "same-site", "none":
			return nil
		}
	}
	return playback.Errorf(playback.CodeCrossSite, "A cookie counts only from this site and the environment's cors_origins.")
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
