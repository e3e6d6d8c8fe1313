package server

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// Webhooks takes what Mux sends. Its errors are *playback.Error; any other is
// answered as an internal error, and Mux sends the webhook again.
type Webhooks interface {
	// Plausible refuses a Mux-Signature header that cannot be right, whatever the
	// body and the environment.
	Plausible(signature string) error
	// Verify refuses a webhook that was not signed for the environment, which may
	// not exist.
	Verify(env playback.EnvironmentID, signature string, body []byte) error
	// Take takes a webhook that was verified. The body is as it was sent, and the
	// caller's. outcome is a word for what became of it.
	Take(ctx context.Context, env playback.EnvironmentID, body []byte) (outcome string, err error)
}

// maxWebhookBody bounds a webhook, bytes.
const maxWebhookBody = 1 << 20

// webhookTimeout is less than the 5 s that Mux waits.
const webhookTimeout = 4 * time.Second

// admitSigned refuses a webhook whose signature cannot be right before its body is
// read.
func (s *Server) admitSigned(c *fiber.Ctx, x *middleware.Exchange) error {
	if err := s.cfg.Webhooks.Plausible(signatureOf(c)); err != nil {
		return s.limits.Failed(x, err)
	}
	return nil
}

func signatureOf(c *fiber.Ctx) string { return string(c.Request().Header.Peek("Mux-Signature")) }

// postWebhook answers POST /v1/webhooks/mux/{environment}. Who calls proves
// itself by the signature alone, and counts at the address's limit only if that
// fails (contract §3).
func postWebhook(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	ctx, cancel := context.WithTimeout(context.Background(), webhookTimeout)
	defer cancel()
	env := playback.EnvironmentID(strings.Clone(r.value(x, "environment")))
	if err := s.cfg.Webhooks.Verify(env, signatureOf(c), x.Body); err != nil {
		return s.limits.Failed(x, err)
	}
	outcome, err := s.cfg.Webhooks.Take(ctx, env, x.Body)
	if err != nil {
		return err
	}
	x.Buf = append(append(x.Buf[:0], `{"data":{"result":`...), strconv.Quote(outcome)...)
	x.Buf = append(x.Buf, "}}"...)
	sendJSON(c, x)
	return nil
}
