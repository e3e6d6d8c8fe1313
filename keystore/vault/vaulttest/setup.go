package vaulttest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		HttpClient: &http.Client{Transport: s.transport()},
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
	s.mount(mount, &api.MountInput{Type: "kv", Options: map[string]string{"version": fmt.Sprint(version)}})
	if version == 2 { // writing fails while the engine still sets itself up
		s.await("writing to "+mount, func() error {
			_, err := s.Client().KVv2(mount).Put(s.t.Context(), "ready", map[string]any{"yes": true})
			return err
		})
	}
}

// Transit mounts a transit engine and has it make its wrapping key, an RSA key of
// 4096 bits that takes seconds: the first import would wait for it.
func (s *Server) Transit(mount string) {
	s.t.Helper()
	s.mount(mount, &api.MountInput{Type: "transit"})
	s.await("making the wrapping key of "+mount, func() error {
		_, err := s.Client().Logical().ReadWithContext(s.t.Context(), mount+"/wrapping_key")
		return err
	})
}

func (s *Server) mount(path string, engine *api.MountInput) {
	s.t.Helper()
	if err := s.Client().Sys().MountWithContext(s.t.Context(), path, engine); err != nil {
		s.t.Fatalf("mounting %s: %v", path, err)
	}
}

// Policy writes an ACL policy.
func (s *Server) Policy(name, rules string) {
	s.t.Helper()
	if err := s.Client().Sys().PutPolicyWithContext(s.t.Context(), name, rules); err != nil {
		s.t.Fatalf("writing policy %s: %v", name, err)
	}
}

// GatewayPolicy returns the rules of a gateway in mode kv.
func GatewayPolicy(t testing.TB, mount, prefix string) string {
	t.Helper()
	return Rules(t, "gateway-kv", mount, prefix)
}

// Rules returns a policy of deploy/vault, for a KV mount and a prefix instead of
// the defaults.
func Rules(t testing.TB, name, mount, prefix string) string {
	t.Helper()
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for { // tests run where their package is
		text, err := os.ReadFile(filepath.Join(directory, "deploy", "vault", name+".hcl")) //nolint:gosec // of this repository
		if err == nil {
			return strings.NewReplacer(`"secret/`, `"`+mount+"/", "/playgate/", "/"+prefix+"/").Replace(string(text))
		}
		above := filepath.Dir(directory)
		if above == directory {
			t.Fatalf("finding the policy %s: %v", name, err)
		}
		directory = above
	}
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
