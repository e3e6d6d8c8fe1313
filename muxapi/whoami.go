package muxapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Identity is what Mux knows of an access token.
type Identity struct {
	AccessTokenName  string   `json:"access_token_name"`
	EnvironmentID    string   `json:"environment_id"`
	EnvironmentName  string   `json:"environment_name"`
	EnvironmentType  string   `json:"environment_type"`
	OrganizationID   string   `json:"organization_id"`
	OrganizationName string   `json:"organization_name"`
	Permissions      []string `json:"permissions"`
}

// WhoAmI returns whose access token the client has. Every token may ask.
func (c *Client) WhoAmI(ctx context.Context) (Identity, error) {
	const op = "asking whose access token it is"
	r, err := c.ask(ctx, op, http.MethodGet, "/system/v1/whoami")
	if err != nil {
		return Identity{}, err
	}
	if r.status != http.StatusOK {
		return Identity{}, c.newError(op, r)
	}
	var envelope struct{ Data Identity }
	if err := json.Unmarshal(r.body, &envelope); err != nil {
		return Identity{}, fmt.Errorf("%s: reading Mux's answer: %w", op, err)
	}
	return envelope.Data, nil
}

// checkEnvironment returns an error if the access token belongs to another
// environment than the wanted one. Once it does not, it is not asked again.
func (c *Client) checkEnvironment(ctx context.Context) error {
	if c.wanted == "" || c.checked.Load() {
		return nil
	}
	identity, err := c.WhoAmI(ctx)
	if err != nil {
		return err
	}
	if identity.EnvironmentID != c.wanted {
		return fmt.Errorf("%w: it belongs to %.80q, not to %.80q (mux.environment_id)", ErrEnvironment, identity.EnvironmentID, c.wanted)
	}
	c.checked.Store(true)
	return nil
}
