package server

import (
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// postTokens answers POST /v1/tokens.
func postTokens(s *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	if err := checkJSON(c); err != nil {
		return err
	}
	k, err := s.readSingle(c, x)
	if err != nil {
		return err
	}
	defer k.release()
	if err := s.limits.Charge(x, len(k.Types)-1); err != nil {
		return err
	}
	answer, err := s.issue(x, k, issueTimeout)
	if err != nil {
		return err
	}
	record(c, x, answer)
	x.Buf = s.scribe(x, answer).appendBundle(x.Buf[:0], x.Environment.ID, slices.Contains(k.Types, playback.DRMLicense))
	return send(c, x)
}

// readSingle reads the body of POST /v1/tokens.
func (s *Server) readSingle(c *fiber.Ctx, x *middleware.Exchange) (*call, error) {
	defer s.parse(x.Body)()
	sent, trailing, refusal := readJSON(x.Body)
	if refusal != nil {
		return nil, refusal
	}
	if err := forbidden(x, &sent); err != nil {
		return nil, err
	}
	if trailing != nil {
		return nil, trailing
	}
	k, refusal := readOrder(c, x, &sent, "")
	if refusal != nil {
		return nil, refusal
	}
	return k, nil
}
