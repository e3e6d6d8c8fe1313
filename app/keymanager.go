package app

import (
	"context"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/server"
	"github.com/playgate/playgate/signingkey"
)

// keyManager is signingkey.Manager in the words of the server.
type keyManager struct {
	manager  *signingkey.Manager
	settings func(playback.EnvironmentID) (signingkey.Settings, bool)
}

// List returns an environment's keys.
func (k keyManager) List(ctx context.Context, env playback.EnvironmentID) ([]server.SigningKey, error) {
	list, err := k.manager.List(ctx, env)
	if err != nil {
		return nil, err
	}
	out := make([]server.SigningKey, len(list))
	for i := range list {
		out[i] = signingKey(list[i])
	}
	return out, nil
}

// Create makes a key at Mux, or a local one where Mux cannot be asked. Its
// private half goes to whoever asked, so it is external.
func (k keyManager) Create(ctx context.Context, o server.KeyOrder) (server.SigningKey, playback.Secret, error) {
	settings, _ := k.settings(o.Environment)
	made, err := k.manager.Create(ctx, signingkey.Creation{
		Environment: o.Environment, By: o.By, RequestID: o.RequestID, Local: settings.Mux == nil, External: true,
	})
	return signingKey(made.Status), made.PrivateKey, err
}

// Activate makes a key the one that signs.
func (k keyManager) Activate(ctx context.Context, o server.KeyOrder) (server.SigningKey, error) {
	status, err := k.manager.Activate(ctx, orderOf(o))
	return signingKey(status), err
}

// Retire takes a key out of the succession.
func (k keyManager) Retire(ctx context.Context, o server.KeyOrder) (server.SigningKey, error) {
	status, err := k.manager.Retire(ctx, orderOf(o))
	return signingKey(status), err
}

// Delete deletes a key.
func (k keyManager) Delete(ctx context.Context, o server.KeyOrder) error {
	return k.manager.Delete(ctx, orderOf(o))
}

func orderOf(o server.KeyOrder) signingkey.Order {
	return signingkey.Order{Environment: o.Environment, Key: o.ID, By: o.By, RequestID: o.RequestID, Force: o.Force, Reason: o.Reason}
}

func signingKey(s signingkey.Status) server.SigningKey {
	return server.SigningKey{
		ID: s.ID, State: string(s.State), CreatedAt: s.CreatedAt, ActivatedAt: s.ActivatedAt, RetiredAt: s.RetiredAt,
		LastExpiry: s.LastExpiry, DeletableAt: s.DeletableAt, External: s.External,
	}
}
