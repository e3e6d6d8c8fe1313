package server

import (
	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// getToken answers GET /v1/playback-ids/{id}/token.
func getToken(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	k := newCall(c, x, r.value(x, "id"))
	defer k.release()
	if err := k.checkPlaybackID("playback_id"); err != nil {
		return err
	}
	raw := rawQuery(c)
	kind, refusal := readType(raw)
	if refusal != nil {
		return refusal
	}
	query := asked{k: k, kind: kind, minTTL: true, viewerQ: x.Environment.ViewerQuery}
	if err := query.read(raw); err != nil {
		return err
	}
	k.want(kind)
	answer, err := s.issue(x, k, issueTimeout)
	if err != nil {
		return err
	}
	record(c, x, answer)
	x.Buf = s.scribe(x, answer).appendSingle(x.Buf[:0])
	return send(c, x)
}

// getTokens answers GET /v1/playback-ids/{id}/tokens: every type that the
// rules grant. How many that is, and what it costs, is known after the rules.
func getTokens(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	k := newCall(c, x, r.value(x, "id"))
	defer k.release()
	if err := k.checkPlaybackID("playback_id"); err != nil {
		return err
	}
	query := asked{k: k, noType: true, minTTL: true, viewerQ: x.Environment.ViewerQuery}
	if err := query.read(rawQuery(c)); err != nil {
		return err
	}
	k.All = true
	k.Charge = func(tokens int) error { return s.limits.Charge(x, tokens-1) }
	answer, err := s.issue(x, k, issueTimeout)
	if err != nil {
		return err
	}
	record(c, x, answer)
	drm := answer.Object.Policy == playback.PolicyDRM
	x.Buf = s.scribe(x, answer).appendBundle(x.Buf[:0], x.Environment.ID, drm)
	return send(c, x)
}
