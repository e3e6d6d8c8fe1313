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
// token of its own. It is called in turn.
type method interface {
	logIn(ctx context.Context, client *api.Client) (*api.SecretAuth, error)
}

// newMethod returns the configured method; Validate has checked that there is
// one. nil: somebody else adds tokens on the way.
func newMethod(auth Auth) method {
	switch auth.Method {
	case AppRoleMethod:
		return &appRole{auth: auth}
	case KubernetesMethod, JWTMethod:
		return bearer{auth}
	case CertMethod:
		return certificate{auth}
	default:
		if auth.TokenFile == "" {
			return nil
		}
		return tokenFile{auth.TokenFile}
	}
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

// bearer logs in with a JWT from a file: the methods kubernetes and jwt. The
// file is read each time, because projected tokens rotate. (The api's own
// helper for Kubernetes reads it once.)
type bearer struct{ auth Auth }

func (b bearer) logIn(ctx context.Context, client *api.Client) (*api.SecretAuth, error) {
	token, err := readSecret(b.auth.JWTFile)
	if err != nil {
		return nil, fmt.Errorf("reading JWT file: %w", err)
	}
	return logInAt(ctx, client, b.auth.Mount, map[string]any{"role": b.auth.Role, "jwt": token})
}

// certificate logs in with the client certificate of the connection, which
// newClient has set up.
type certificate struct{ auth Auth }

func (c certificate) logIn(ctx context.Context, client *api.Client) (*api.SecretAuth, error) {
	login := map[string]any{}
	if c.auth.Role != "" {
		login["name"] = c.auth.Role
	}
	return logInAt(ctx, client, c.auth.Mount, login)
}

// logInAt asks an auth method for a token.
func logInAt(ctx context.Context, client *api.Client, mount string, login map[string]any) (*api.SecretAuth, error) {
	path := "auth/" + mount + "/login"
	secret, err := client.Logical().WriteWithContext(ctx, path, login)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", path, plainly(err))
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
	const enough = 64 << 10
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
