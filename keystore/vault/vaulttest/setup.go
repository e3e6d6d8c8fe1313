package vaulttest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/hashicorp/vault/api"
)

// Client returns a new client with the root token.
func (s *Server) Client() *api.Client {
	s.t.Helper()
	return s.clientFor(s.RootToken)
}

func (s *Server) clientFor(token string) *api.Client {
	s.t.Helper()
	client, err := api.NewClient(&api.Config{
		Address:    s.Address,
		HttpClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, // no proxy either
		MaxRetries: 2,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	// NewClient has read the environment.
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	client.SetToken(token)
	if token == "" {
		client.ClearToken()
	}
	return client
}

// Enable mounts a KV engine of the version, 1 or 2.
func (s *Server) Enable(mount string, version int) {
	s.t.Helper()
	err := s.Client().Sys().MountWithContext(s.t.Context(), mount, &api.MountInput{
		Type: "kv", Options: map[string]string{"version": fmt.Sprint(version)},
	})
	if err != nil {
		s.t.Fatalf("mounting %s: %v", mount, err)
	}
	if version == 2 { // writing fails while the engine still sets itself up
		s.await("writing to "+mount, func() error {
			_, err := s.Client().KVv2(mount).Put(s.t.Context(), "ready", map[string]any{"yes": true})
			return err
		})
	}
}

// Policy writes an ACL policy.
func (s *Server) Policy(name, rules string) {
	s.t.Helper()
	if err := s.Client().Sys().PutPolicyWithContext(s.t.Context(), name, rules); err != nil {
		s.t.Fatalf("writing policy %s: %v", name, err)
	}
}

// GatewayPolicy returns the rules that package vault documents for a mount and
// prefix.
func GatewayPolicy(mount, prefix string) string {
	return fmt.Sprintf(`
path "%[1]s/metadata/%[2]s/*"  { capabilities = ["read", "list"] }
path "%[1]s/data/%[2]s/*"      { capabilities = ["read"] }
path "auth/token/lookup-self"  { capabilities = ["read"] }
path "auth/token/renew-self"   { capabilities = ["update"] }
`, mount, prefix)
}

// Token creates a token.
func (s *Server) Token(request *api.TokenCreateRequest) string {
	s.t.Helper()
	secret, err := s.Client().Auth().Token().CreateWithContext(s.t.Context(), request)
	if err != nil {
		s.t.Fatalf("creating token: %v", err)
	}
	return secret.Auth.ClientToken
}

// Revoke revokes a token.
func (s *Server) Revoke(token string) {
	s.t.Helper()
	if err := s.Client().Auth().Token().RevokeTreeWithContext(s.t.Context(), token); err != nil {
		s.t.Fatalf("revoking token: %v", err)
	}
}

// AppRole creates a role of the AppRole method, mounting that at approle/ when
// it is not, and returns the role's ID. The settings are those of Vault's API:
// token_policies, token_ttl, and so on.
func (s *Server) AppRole(name string, settings map[string]any) string {
	s.t.Helper()
	s.setup.Lock()
	defer s.setup.Unlock()
	client := s.Client()
	mounts, err := client.Sys().ListAuthWithContext(s.t.Context())
	if err != nil {
		s.t.Fatalf("listing auth methods: %v", err)
	}
	if mounts["approle/"] == nil {
		if err := client.Sys().EnableAuthWithOptionsWithContext(s.t.Context(), "approle", &api.EnableAuthOptions{Type: "approle"}); err != nil {
			s.t.Fatalf("enabling approle: %v", err)
		}
	}
	s.write("auth/approle/role/"+name, settings)
	secret, err := client.Logical().ReadWithContext(s.t.Context(), "auth/approle/role/"+name+"/role-id")
	if err != nil || secret == nil {
		s.t.Fatalf("reading role ID: %v", err)
	}
	return fmt.Sprint(secret.Data["role_id"])
}

// SecretID creates a secret ID of a role.
func (s *Server) SecretID(role string) string {
	s.t.Helper()
	return fmt.Sprint(s.write("auth/approle/role/"+role+"/secret-id", nil).Data["secret_id"])
}

// DestroySecretID makes a secret ID invalid.
func (s *Server) DestroySecretID(role, secretID string) {
	s.t.Helper()
	s.write("auth/approle/role/"+role+"/secret-id/destroy", map[string]any{"secret_id": secretID})
}

// File writes a file that only its owner may read, in a directory that ends
// with the test, and returns its path. The same name is replaced.
func (s *Server) File(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.home, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *Server) write(path string, data map[string]any) *api.Secret {
	s.t.Helper()
	secret, err := s.Client().Logical().WriteWithContext(s.t.Context(), path, data)
	if err != nil {
		s.t.Fatalf("writing %s: %v", path, err)
	}
	return secret
}
