package server

import (
	"context"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// PolicyManager knows which rules an environment has in force and puts others in
// their place. Its errors are *playback.Error; any other is answered as an
// internal error.
type PolicyManager interface {
	// State returns what is in force now.
	State(env playback.EnvironmentID) PolicyState
	// Promote puts the shadow in force. revision, if not "", is the shadow's that
	// is meant: another one is a conflict.
	Promote(ctx context.Context, o PolicyOrder) (PolicyState, error)
}

// PolicyState are the rules of an environment.
type PolicyState struct {
	Revision string
	Rules    int
	Shadow   string // the revision of the shadow, "" none
}

// PolicyOrder is a change of the rules, and who wants it.
type PolicyOrder struct {
	Environment playback.EnvironmentID
	Revision    string // of the shadow, "" whatever it is
	By          string // the access token's ID, for the log
	RequestID   string
}

// promoteTimeout is how long a promotion may take: it reloads.
const promoteTimeout = 30 * time.Second

// getPolicy answers GET /v1/policy.
func getPolicy(s *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	return sendPolicy(c, x, s.cfg.Policies.State(x.Environment.ID))
}

// postPromote answers POST /v1/policy/promote.
func postPromote(s *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	order := PolicyOrder{Environment: x.Environment.ID, By: x.Token.ID, RequestID: strings.Clone(x.ID)}
	if err := readPromotion(c, x, &order); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), promoteTimeout)
	defer cancel()
	state, err := s.cfg.Policies.Promote(ctx, order)
	if err != nil {
		return err
	}
	return sendPolicy(c, x, state)
}

// readPromotion reads the optional body, {"revision": "…"}.
func readPromotion(c *fiber.Ctx, x *middleware.Exchange, order *PolicyOrder) error {
	members, err := readOptional(c, x)
	if err != nil {
		return err
	}
	for i := range members {
		m := &members[i]
		switch {
		case !promotionNames.has(m.name):
			return promotionNames.unknown("", m.name)
		case m.value.kind == jsonNull:
		case m.value.kind != jsonString:
			return fieldError("revision", "want a string")
		default:
			order.Revision = strings.Clone(m.value.text)
		}
	}
	return nil
}

func sendPolicy(c *fiber.Ctx, x *middleware.Exchange, p PolicyState) error {
	data := map[string]any{"revision": p.Revision, "rules": p.Rules, "shadow": nil}
	if p.Shadow != "" {
		data["shadow"] = map[string]any{"revision": p.Shadow}
	}
	return sendData(c, x, data)
}
