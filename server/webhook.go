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
	// Take takes a webhook of an environment, which may not exist: signature is
	// its Mux-Signature header, and the body is as it was sent, the caller's.
	// outcome is a word for what became of it.
	Take(ctx context.Context, env playback.EnvironmentID, signature string, body []byte) (outcome string, err error)
}

// maxWebhookBody bounds a webhook, bytes.
const maxWebhookBody = 1 << 20

// webhookTimeout is less than the 5 s that Mux waits.
const webhookTimeout = 4 * time.Second

// postWebhook answers POST /v1/webhooks/mux/{environment}. Who calls proves
// itself by the signature alone; no limit counts (contract §3).
func postWebhook(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	ctx, cancel := context.WithTimeout(context.Background(), webhookTimeout)
	defer cancel()
	env := playback.EnvironmentID(strings.Clone(r.value(x, "environment")))
	outcome, err := s.cfg.Webhooks.Take(ctx, env, string(c.Request().Header.Peek("Mux-Signature")), x.Body)
	if err != nil {
		return err
	}
	x.Buf = append(append(x.Buf[:0], `{"data":{"result":`...), strconv.Quote(outcome)...)
	x.Buf = append(x.Buf, "}}"...)
	sendJSON(c, x)
	return nil
}
