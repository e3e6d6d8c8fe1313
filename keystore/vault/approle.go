package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hashicorp/vault/api"
)

// appRole logs in by role ID and secret ID. (The api's own helper reads the
// role ID once, and ignores the context.)
type appRole struct {
	auth Auth
	// What was last unwrapped, and from which wrapping token.
	wrapper, secretID string
}

func (a *appRole) logIn(ctx context.Context, client *api.Client) (*api.SecretAuth, error) {
	login := map[string]any{"role_id": a.auth.RoleID}
	if a.auth.RoleIDFile != "" {
		role, err := readSecret(a.auth.RoleIDFile)
		if err != nil {
			return nil, fmt.Errorf("reading role ID file: %w", err)
		}
		login["role_id"] = role
	}
	switch {
	case a.auth.SecretIDFile != "":
		secret, err := readSecret(a.auth.SecretIDFile)
		if err != nil {
			return nil, fmt.Errorf("reading secret ID file: %w", err)
		}
		login["secret_id"] = secret
	case a.auth.WrappedSecretIDFile != "":
		secret, err := a.unwrapped(ctx, client)
		if err != nil {
			return nil, err
		}
		login["secret_id"] = secret
	}
	return logInAt(ctx, client, a.auth.Mount, login)
}

// unwrapped returns the secret ID behind the wrapping token in the file:
// unwrapped now, or remembered if that was done before, or the file is gone (as
// some who deliver it take it away again).
func (a *appRole) unwrapped(ctx context.Context, client *api.Client) (string, error) {
	wrapper, err := readSecret(a.auth.WrappedSecretIDFile)
	if errors.Is(err, fs.ErrNotExist) && a.secretID != "" || err == nil && wrapper == a.wrapper {
		return a.secretID, nil
	}
	if err != nil {
		return "", fmt.Errorf("reading wrapped secret ID file: %w", err)
	}
	if err := a.inspect(ctx, client, wrapper); err != nil {
		return "", err
	}
	client.SetToken(wrapper)
	defer client.ClearToken()
	secret, err := client.Logical().UnwrapWithContext(ctx, wrapper)
	if err != nil {
		return "", fmt.Errorf("unwrapping the secret ID: %w", plainly(err))
	}
	if secret == nil {
		return "", errors.New("unwrapping the secret ID: an empty answer")
	}
	id, _ := secret.Data["secret_id"].(string)
	if id == "" {
		return "", errors.New("unwrapping the secret ID: the answer holds no secret_id")
	}
	a.wrapper, a.secretID = wrapper, id
	return id, nil
}

// inspect asks where the wrapped answer came from: whoever could replace the
// file could wrap something of their own, and see what logs in with it.
func (a *appRole) inspect(ctx context.Context, client *api.Client, wrapper string) error {
	found, err := client.Logical().WriteWithContext(ctx, "sys/wrapping/lookup", map[string]any{"token": wrapper})
	if err != nil {
		if refusal := refusalOf(err); refusal != nil {
			return fmt.Errorf("looking the wrapping token up: %w; it works once and not for long: put a fresh one into %s, "+
				"and if nobody of yours has used this one, revoke its secret ID, which somebody else knows", refusal, a.auth.WrappedSecretIDFile)
		}
		return fmt.Errorf("looking the wrapping token up: %w", err)
	}
	if found == nil {
		return errors.New("looking the wrapping token up: an empty answer")
	}
	path, _ := found.Data["creation_path"].(string)
	if !strings.HasPrefix(path, "auth/"+a.auth.Mount+"/role/") || !strings.HasSuffix(path, "/secret-id") {
		return fmt.Errorf("looking the wrapping token up: it wraps %.100q and no secret ID of auth/%s: it may have been put there by an attacker", path, a.auth.Mount)
	}
	return nil
}
