package server

import (
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// getEnvironmentJWKS answers GET /v1/environments/{env}/jwks.json.
func getEnvironmentJWKS(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	e, ok := x.Snapshot.ByID(playback.EnvironmentID(r.value(x, "env")))
	if !ok {
		return playback.Errorf(playback.CodeNotFound, "There is no such environment.")
	}
	return s.publish(c, x, e)
}

// getHostJWKS answers GET /.well-known/jwks.json, for the host's environment.
func getHostJWKS(s *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	e := x.Host
	if e == nil {
		e = x.Snapshot.Sole()
	}
	if e == nil {
		return playback.Errorf(playback.CodeEnvironmentUnresolved, "The host does not say which environment is meant.").
			Because(fmt.Errorf("the host %.100q is none of an environment's hosts", x.Authority))
	}
	return s.publish(c, x, e)
}

// jwksRetry is how soon the keys may be known that are not yet.
const jwksRetry = 5 * time.Second

func (s *Server) publish(c *fiber.Ctx, x *middleware.Exchange, e *middleware.Environment) error {
	x.Environment = e
	body, etag, ok := s.cfg.JWKS.JWKS(e.ID)
	if !ok {
		return playback.Errorf(playback.CodeNoActiveKey, "The environment's keys are not known yet.").After(jwksRetry)
	}
	if !strings.HasSuffix(etag, `"`) {
		etag = `"` + etag + `"`
	}
	h := &c.Response().Header
	h.Set(fiber.HeaderCacheControl, "public, max-age=60")
	h.Set(fiber.HeaderETag, etag)
	if matches(c.Get(fiber.HeaderIfNoneMatch), etag) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	h.SetContentType(fiber.MIMEApplicationJSON)
	c.Response().SetBody(body)
	return nil
}

// matches is the weak comparison of RFC 9110 §13.1.2. Our tags hold no comma.
func matches(list, etag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}
