package vaulttest

import (
	"fmt"
	"maps"
	"net"
	"time"

	"github.com/hashicorp/vault/api"
)

// method mounts an auth method when it is not.
func (s *Server) method(mount, kind string) {
	s.t.Helper()
	s.setup.Lock()
	defer s.setup.Unlock()
	client := s.Client()
	mounts, err := client.Sys().ListAuthWithContext(s.t.Context())
	if err != nil {
		s.t.Fatalf("listing auth methods: %v", err)
	}
	if mounts[mount+"/"] != nil {
		return
	}
	if err := client.Sys().EnableAuthWithOptionsWithContext(s.t.Context(), mount, &api.EnableAuthOptions{Type: kind}); err != nil {
		s.t.Fatalf("enabling %s: %v", mount, err)
	}
}

// AppRole creates a role of the AppRole method, mounting that at approle/ when
// it is not, and returns the role's ID. The settings are those of Vault's API:
// token_policies, token_ttl, and so on.
func (s *Server) AppRole(name string, settings map[string]any) string {
	s.t.Helper()
	s.method("approle", "approle")
	s.write("auth/approle/role/"+name, settings)
	secret, err := s.Client().Logical().ReadWithContext(s.t.Context(), "auth/approle/role/"+name+"/role-id")
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

// WrappedSecretID creates a secret ID of a role, and returns a response-wrapping
// token around it.
func (s *Server) WrappedSecretID(role string) string {
	s.t.Helper()
	return s.Wrapped("auth/approle/role/"+role+"/secret-id", nil)
}

// Wrapped writes to a path, and returns a response-wrapping token around the
// answer.
func (s *Server) Wrapped(path string, data map[string]any) string {
	s.t.Helper()
	client := s.Client()
	client.SetWrappingLookupFunc(func(string, string) string { return "60s" })
	secret, err := client.Logical().WriteWithContext(s.t.Context(), path, data)
	if err != nil || secret == nil || secret.WrapInfo == nil {
		s.t.Fatalf("writing %s, wrapped: %v", path, err)
	}
	return secret.WrapInfo.Token
}

// JWTRole creates a role of the JWT method at a mount, which trusts tokens that
// the public key (PEM) verifies. The method kubernetes is not in the minimal
// build; its log-in is the same, so that a JWT method mounted at kubernetes/
// stands in for it.
func (s *Server) JWTRole(mount, role, publicKey string, settings map[string]any) {
	s.t.Helper()
	s.method(mount, "jwt")
	s.write("auth/"+mount+"/config", map[string]any{"jwt_validation_pubkeys": []string{publicKey}})
	all := map[string]any{"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"vault"}}
	maps.Copy(all, settings)
	s.write("auth/"+mount+"/role/"+role, all)
}

// CertRole creates a role of the TLS certificate method, which trusts client
// certificates of a CA (PEM).
func (s *Server) CertRole(role, ca string, settings map[string]any) {
	s.t.Helper()
	s.method("cert", "cert")
	all := map[string]any{"certificate": ca}
	maps.Copy(all, settings)
	s.write("auth/cert/certs/"+role, all)
}

// Proxy starts a Vault Proxy that logs in by AppRole and adds its token to
// every request that has none. It returns its address.
func (s *Server) Proxy(roleIDFile, secretIDFile string) string {
	s.t.Helper()
	listener, _ := freePorts(s.t)
	file := s.File("proxy.hcl", fmt.Sprintf(`
vault { address = %[1]q }
auto_auth {
  method "approle" {
    config = { role_id_file_path = %[2]q, secret_id_file_path = %[3]q, remove_secret_id_file_after_reading = false }
  }
}
api_proxy { use_auto_auth_token = true }
listener "tcp" { address = %[4]q, tls_disable = true, require_request_header = true }
`, s.Address, roleIDFile, secretIDFile, listener))
	p := s.run([]string{"proxy", "-config=" + file})
	s.await("the proxy at "+listener, func() error {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(s.t.Context(), "tcp", listener)
		if err != nil {
			return fmt.Errorf("%w: %s", err, p.tail())
		}
		return c.Close()
	})
	return "http://" + listener
}
