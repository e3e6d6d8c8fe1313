package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"
)

// method is one way to get a token. The client is for log-ins alone and has no
// token of its own.
type method interface {
	logIn(ctx context.Context, client *api.Client) (*api.SecretAuth, error)
}

// newMethod returns the configured method; Validate has checked that there is
// one.
func newMethod(auth Auth) method {
	if auth.Method == AppRoleMethod {
		return appRole{auth}
	}
	return tokenFile{auth.TokenFile}
}

// tokenFile takes the token that somebody else keeps in a file.
type tokenFile struct{ path string }

func (t tokenFile) logIn(ctx context.Context, client *api.Client) (*api.SecretAuth, error) {
	token, err := readSecret(t.path)
	if err != nil {
		return nil, fmt.Errorf("reading token file: %w", err)
	}
	client.SetToken(token)
	defer client.ClearToken()
	found, err := client.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil {
		refusal := refusalOf(err)
		if refusal == nil {
			return nil, fmt.Errorf("looking the token up: %w", err)
		}
		if !forbidden(refusal) {
			return nil, fmt.Errorf("looking the token up: %w", refusal)
		}
		// It is invalid, or may not look itself up: reading will tell. Without
		// knowing its life there is nothing to renew.
		return &api.SecretAuth{ClientToken: token}, nil
	}
	ttl, err := found.TokenTTL()
	if err != nil {
		return nil, fmt.Errorf("looking the token up: %w", err)
	}
	renewable, err := found.TokenIsRenewable()
	if err != nil {
		return nil, fmt.Errorf("looking the token up: %w", err)
	}
	return &api.SecretAuth{ClientToken: token, Renewable: renewable, LeaseDuration: int(ttl.Seconds())}, nil
}

// appRole logs in by role ID and secret ID. (The api's own helper reads the
// role ID once, and ignores the context.)
type appRole struct{ auth Auth }

func (a appRole) logIn(ctx context.Context, client *api.Client) (*api.SecretAuth, error) {
	login := map[string]any{"role_id": a.auth.RoleID}
	if a.auth.RoleIDFile != "" {
		role, err := readSecret(a.auth.RoleIDFile)
		if err != nil {
			return nil, fmt.Errorf("reading role ID file: %w", err)
		}
		login["role_id"] = role
	}
	if a.auth.SecretIDFile != "" {
		secret, err := readSecret(a.auth.SecretIDFile)
		if err != nil {
			return nil, fmt.Errorf("reading secret ID file: %w", err)
		}
		login["secret_id"] = secret
	}
	path := "auth/" + a.auth.Mount + "/login"
	secret, err := client.Logical().WriteWithContext(ctx, path, login)
	if err != nil {
		if refusal := refusalOf(err); refusal != nil {
			err = refusal
		}
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return nil, fmt.Errorf("writing %s: answer without a token", path)
	}
	return secret.Auth, nil
}

// readSecret reads a short file and trims white space.
func readSecret(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read from
	const enough = 8 << 10
	text, err := io.ReadAll(io.LimitReader(f, enough))
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", errors.New("the file is empty: " + path)
	}
	return secret, nil
}
