package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/muxapi"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

// termsOf returns what an environment asks of the life of its keys.
func termsOf(e *configs.Environment) keystore.Terms {
	return keystore.Terms{PrepareFor: e.Keys.PrepareFor, MaxTTL: e.Token.MaxTTL, ExternalMaxTTL: e.Keys.ExternalMaxTTL}
}

// muxClients keeps one client of Mux's API per access token, so that all who
// ask share its pace, also beyond a reload.
type muxClients struct {
	mu      sync.Mutex
	clients map[muxAccess]*muxapi.Client
}

// muxAccess is everything that a client is made from.
type muxAccess struct{ base, environment, id, secret string }

func newMuxClients() *muxClients { return &muxClients{clients: map[muxAccess]*muxapi.Client{}} }

// of returns the client of an access token, nil if none is configured.
func (c *muxClients) of(m *configs.Mux) (signingkey.Mux, error) {
	if !m.Enabled() {
		return nil, nil //nolint:nilnil // signingkey.Settings has nil for none
	}
	access := muxAccess{m.BaseURL, m.EnvironmentID, m.TokenID, m.TokenSecret.Reveal()}
	c.mu.Lock()
	defer c.mu.Unlock()
	client := c.clients[access]
	if client == nil {
		made, err := muxapi.New(muxapi.Config{BaseURL: m.BaseURL, TokenID: m.TokenID, Secret: m.TokenSecret, EnvironmentID: m.EnvironmentID})
		if err != nil {
			return nil, fmt.Errorf("making a client of Mux's API: %w", err)
		}
		client = made
		c.clients[access] = client
	}
	return mux{client}, nil
}

// settings returns an environment's keys as signingkey.Manager wants them.
func (c *muxClients) settings(e *configs.Environment) (signingkey.Settings, error) {
	client, err := c.of(&e.Mux)
	return signingkey.Settings{
		Terms: termsOf(e), RotateEvery: e.Keys.RotateEvery, RetireAfter: e.Keys.RetireAfter,
		Mux: client, LocalRotation: e.VerifiedElsewhere(),
	}, err
}

// mux is Mux's API in the words of signingkey.
type mux struct{ client *muxapi.Client }

func (m mux) Create(ctx context.Context) (signingkey.MuxKey, error) {
	key, err := m.client.CreateSigningKey(ctx)
	if errors.Is(err, muxapi.ErrUnsettled) {
		err = fmt.Errorf("%w: %w", signingkey.ErrUnknownOutcome, err)
	}
	return signingkey.MuxKey(key), err
}

func (m mux) List(ctx context.Context) ([]signingkey.MuxKey, error) {
	list, err := m.client.ListSigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]signingkey.MuxKey, len(list))
	for i, key := range list {
		out[i] = signingkey.MuxKey(key)
	}
	return out, nil
}

func (m mux) Delete(ctx context.Context, id playback.KeyID) error {
	return m.client.DeleteSigningKey(ctx, id)
}
