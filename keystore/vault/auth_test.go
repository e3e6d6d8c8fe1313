package vault_test

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
)

func authentication(t *testing.T, p *prefixes) {
	for _, c := range []struct {
		name string
		edit func(*rig)
		test func(*rig)
	}{
		{"approle logs in once", func(r *rig) { r.useAppRole(nil) }, func(r *rig) {
			r.want("K1 active")
			r.want("K1 active")
			r.logIns(1)
		}},
		{"approle with a role ID file and without a secret ID", func(r *rig) {
			role := r.server.AppRole(r.prefix, map[string]any{
				"token_policies": r.policy(), "bind_secret_id": false, "token_bound_cidrs": "127.0.0.1/8", "secret_id_bound_cidrs": "",
			})
			r.config.Auth = vault.Auth{Method: vault.AppRoleMethod, RoleIDFile: r.server.File(r.prefix+"-role", role+"\r\n")}
		}, func(r *rig) { r.want("K1 active") }},
		{"a revoked token is replaced through approle", func(r *rig) { r.useAppRole(nil) }, func(r *rig) {
			r.want("K1 active")
			r.revokeAll()
			r.want("K1 active")
			r.logIns(2)
		}},
		{"a rotated secret ID is read from its file", rotatedSecretEdit, rotatedSecretTest},
		{"failed log-ins back off", func(r *rig) {
			r.useAppRole(nil)
			r.server.File(r.prefix+"-secret", "wrong")
		}, func(r *rig) {
			r.wantError("logging in to Vault", "Vault answered 400", "invalid role or secret ID")
			for range 5 {
				r.wantError("invalid role or secret ID")
			}
			r.logIns(1)
			r.forward(time.Second)
			r.wantError("invalid role or secret ID")
			r.logIns(2)
			r.forward(time.Second / 4)
			r.wantError("invalid role or secret ID")
			r.logIns(2)
			r.server.File(r.prefix+"-secret", r.server.SecretID(r.prefix))
			r.forward(time.Minute)
			r.want("K1 active")
		}},
		{"a missing secret ID file is an error", func(r *rig) {
			r.useAppRole(nil)
			r.config.Auth.SecretIDFile += "-gone"
		}, func(r *rig) { r.wantError("reading secret ID file") }},
		{"an empty token file is an error", func(r *rig) {
			r.useToken(&api.TokenCreateRequest{})
			r.server.File(r.prefix+"-token", " \n")
		}, func(r *rig) { r.wantError("reading token file", "is empty") }},
		{"a revoked token is replaced from its file", nil, func(r *rig) {
			r.want("K1 active")
			old := r.tokenInFile()
			r.server.Revoke(old)
			r.wantError("403", "permission denied")
			r.server.File(r.prefix+"-token", r.server.Token(&api.TokenCreateRequest{Policies: []string{r.prefix}}))
			r.wantError("403") // too soon after the last try
			r.forward(31 * time.Second)
			r.want("K1 active")
		}},
		// The lives are as short as they can be with a second or two to spare on a
		// busy machine: Vault counts whole seconds. The first renewal is made at once.
		{"a short-lived token is renewed", func(r *rig) { r.useAppRole(map[string]any{"token_ttl": "6s"}) }, func(r *rig) {
			r.eventually("a renewal after two thirds of its life", func() bool {
				r.want("K1 active")
				return r.proxy.count("renew-self") >= 2
			})
			r.logIns(1)
		}},
		{"a periodic token is renewed", func(r *rig) {
			r.useToken(&api.TokenCreateRequest{Policies: []string{r.policy()}, Period: "6s"})
		}, func(r *rig) {
			r.eventually("a renewal after two thirds of its life", func() bool {
				r.want("K1 active")
				return r.proxy.count("renew-self") >= 2
			})
		}},
		{"a token that reaches its maximum is replaced", func(r *rig) {
			r.useAppRole(map[string]any{"token_ttl": "2s", "token_max_ttl": "3s"})
			r.config.RelogInAfter = time.Millisecond // Vault counts whole seconds: such a token may end early
		}, func(r *rig) {
			r.eventually("two log-ins", func() bool {
				r.want("K1 active")
				return r.proxy.count("login") >= 3
			})
		}},
		{"a batch token is replaced before it ends, and used until it can be", func(r *rig) {
			r.useAppRole(map[string]any{"token_type": "batch", "token_ttl": "9s"})
		}, func(r *rig) {
			r.want("K1 active")
			r.proxy.fail(func(w http.ResponseWriter, q *http.Request) bool {
				if kind(q) != "login" {
					return false
				}
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			})
			r.eventually("an attempt to log in", func() bool {
				r.want("K1 active")
				return r.proxy.count("login") >= 2
			})
			r.proxy.fail(nil)
			attempts := r.proxy.count("login")
			r.forward(time.Minute)
			r.eventually("a log-in", func() bool {
				r.want("K1 active")
				return r.proxy.count("login") > attempts
			})
			if n := r.proxy.count("renew-self"); n != 0 {
				r.Errorf("%d attempts to renew a batch token", n)
			}
			if n := r.proxy.count("lookup-self"); n != 0 {
				r.Error("the token was refused before it was replaced")
			}
		}},
		{"the namespace goes along with every request", func(r *rig) { // the community edition ignores it
			r.useAppRole(nil)
			r.config.Namespace = "team/video"
		}, func(r *rig) {
			r.proxy.fail(func(_ http.ResponseWriter, q *http.Request) bool {
				if got := q.Header.Values("X-Vault-Namespace"); len(got) != 1 || got[0] != "team/video" {
					r.Errorf("%s: the namespace is %q", q.URL.Path, got)
				}
				return false
			})
			r.want("K1 active")
		}},
		{"a token in a file that nobody replaces lasts as long as it can", func(r *rig) {
			r.useToken(&api.TokenCreateRequest{Policies: []string{r.policy()}, TTL: "2s", ExplicitMaxTTL: "2s"})
		}, func(r *rig) {
			r.want("K1 active")
			r.eventually("the end of the token", func() bool {
				keys, _, err := r.load()
				return err != nil && strings.Contains(err.Error(), "403") && keys == ""
			})
		}},
		{"a token without a list permission logs in again once, then rarely", func(r *rig) {
			r.useAppRole(nil)
			r.server.Policy(r.prefix, `path "secret/data/*" { capabilities = ["read"] }`)
		}, func(r *rig) {
			r.wantError("reading secret/metadata/"+r.prefix+"/acme/signing-keys", "Vault answered 403", "permission denied")
			r.logIns(2)
			r.forward(31 * time.Second) // the token itself is valid: 30 s do not count
			r.wantError("403")
			r.logIns(2)
			r.forward(5 * time.Minute)
			r.wantError("403")
			r.logIns(3)
			r.policy()
			r.want("K1 active")
		}},
		{"a token that may read metadata only", func(r *rig) {
			r.useAppRole(nil)
			r.server.Policy(r.prefix, `path "secret/metadata/*" { capabilities = ["read", "list"] }`)
		}, func(r *rig) {
			r.want("", "K1: reading secret/data/"+r.prefix+"/acme/signing-keys/K1: Vault answered 403")
			r.policy()
			r.want("K1 active")
		}},
		{"a policy's mistake does not withdraw a key", nil, func(r *rig) {
			r.store("K2", entry(r, 2, keystore.Prepared))
			r.store("K3", entry(r, 3, keystore.Prepared))
			r.want("K1 active, K2 prepared, K3 prepared")
			r.server.Policy(r.prefix, vaulttest.GatewayPolicy(r.T, "secret", r.prefix)+
				`path "secret/metadata/`+r.prefix+`/acme/signing-keys/K1" { capabilities = ["deny"] }`)
			r.check(r.kv().Delete(r.Context(), r.path(acme, "K2")))
			r.want("K1 active, K3 prepared", "K1: reading", "its last good content stays in force")
			_, problems, err := r.source.Load(r.Context(), acme)
			r.check(err)
			if !slices.ContainsFunc(problems, func(p keystore.Problem) bool { return p.Kept }) {
				r.Errorf("problems %v, want one that says that a key was kept", problems)
			}
			r.check(r.kv().DeleteMetadata(r.Context(), r.path(acme, "K1")))
			r.want("K3 prepared")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := p.rig(t, c.edit)
			r.store("K1", entry(t, 1, keystore.Active))
			c.test(r)
		})
	}
}

func rotatedSecretEdit(r *rig) {
	r.useAppRole(map[string]any{"token_ttl": "5s", "token_max_ttl": "5s"}) // a busy machine may take 2 s for a read
}

// rotatedSecretTest rotates the secret ID as an operator does: a new one, the
// file, then the old one is destroyed. Tokens end soon, so that it logs in.
func rotatedSecretTest(r *rig) {
	r.want("K1 active")
	text, err := os.ReadFile(r.config.Auth.SecretIDFile)
	r.check(err)
	r.server.File(r.prefix+"-secret", r.server.SecretID(r.prefix))
	r.server.DestroySecretID(r.prefix, strings.TrimSpace(string(text)))
	r.eventually("two more log-ins", func() bool {
		r.want("K1 active")
		return r.proxy.count("login") >= 3
	})
}

func (r *rig) logIns(want int) {
	r.Helper()
	if got := r.proxy.count("login"); got != want {
		r.Errorf("%d log-ins, want %d", got, want)
	}
}

func (r *rig) tokenInFile() string {
	r.Helper()
	text, err := os.ReadFile(r.config.Auth.TokenFile)
	r.check(err)
	return strings.TrimSpace(string(text))
}

// revokeAll revokes every token that the role has got.
func (r *rig) revokeAll() {
	r.Helper()
	client := r.server.Client()
	list, err := client.Logical().ListWithContext(r.Context(), "auth/token/accessors")
	r.check(err)
	accessors, ok := list.Data["keys"].([]any)
	if !ok {
		r.Fatal("no accessors")
	}
	for _, accessor := range accessors {
		text, _ := accessor.(string)
		found, err := client.Auth().Token().LookupAccessorWithContext(r.Context(), text)
		if err != nil {
			continue // it ended in the meantime
		}
		if meta, _ := found.Data["meta"].(map[string]any); meta["role_name"] == r.prefix || meta["role"] == r.prefix {
			r.check(client.Auth().Token().RevokeAccessorWithContext(r.Context(), text))
		}
	}
}

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	good := vault.Config{Address: "https://vault:8200", Mount: "secret", Prefix: "playgate", Auth: vault.Auth{Method: "token", TokenFile: "x"}}
	appRole := vault.Auth{Method: "approle", RoleID: "r", SecretIDFile: "x"}
	for _, c := range []struct {
		name, problem string // "" none
		edit          func(*vault.Config)
	}{
		{"token", "", func(*vault.Config) {}},
		{"approle", "", func(c *vault.Config) { c.Auth = appRole }},
		{"slashes around paths", "", func(c *vault.Config) { c.Mount, c.Prefix = "/kv/mux/", "/a/b/" }},
		{"a socket", "", func(c *vault.Config) { c.Address = "unix:///run/vault.sock" }},
		{"a socket without a path", "address", func(c *vault.Config) { c.Address = "unix://" }},
		{"a socket at a host", "address", func(c *vault.Config) { c.Address = "unix://run/vault.sock" }},
		{"a socket's path that leads elsewhere", "address", func(c *vault.Config) { c.Address = "unix:///run/../vault.sock" }},
		{"a socket's path in disguise", "address", func(c *vault.Config) { c.Address = "unix:///run/vault%2esock" }},
		{"no host", "address", func(c *vault.Config) { c.Address = "https:///v1" }},
		{"no address", "address", func(c *vault.Config) { c.Address = "" }},
		{"no scheme", "address", func(c *vault.Config) { c.Address = "vault:8200" }},
		{"another scheme", "address", func(c *vault.Config) { c.Address = "ftp://vault" }},
		{"credentials in the address", "address", func(c *vault.Config) { c.Address = "https://u:p@vault" }},
		{"a query in the address", "address", func(c *vault.Config) { c.Address = "https://vault?x=1" }},
		{"no mount", "mount", func(c *vault.Config) { c.Mount = "/" }},
		{"a mount that leads elsewhere", "mount", func(c *vault.Config) { c.Mount = "secret/../sys" }},
		{"a prefix that leads elsewhere", "prefix", func(c *vault.Config) { c.Prefix = ".." }},
		{"a prefix with a query", "prefix", func(c *vault.Config) { c.Prefix = "a?list=true" }},
		{"a prefix with an empty segment", "prefix", func(c *vault.Config) { c.Prefix = "a//b" }},
		{"no method", "auth.method", func(c *vault.Config) { c.Auth.Method = "" }},
		{"an unknown method", "auth.method", func(c *vault.Config) { c.Auth.Method = "userpass" }},
		{"no token file: an agent", "", func(c *vault.Config) { c.Auth.TokenFile = "" }},
		{"no role ID", "role_id", func(c *vault.Config) { c.Auth = appRole; c.Auth.RoleID = "" }},
		{"two role IDs", "role_id", func(c *vault.Config) { c.Auth = appRole; c.Auth.RoleIDFile = "x" }},
		{"an auth mount that leads elsewhere", "auth.mount", func(c *vault.Config) { c.Auth = appRole; c.Auth.Mount = "../x" }},
	} {
		config := good
		c.edit(&config)
		source, err := vault.New(config)
		if c.problem == "" && err != nil || c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem+":") && !strings.Contains(err.Error(), c.problem)) {
			t.Errorf("%s: New = %v, want a problem with %q", c.name, err, c.problem)
		}
		if source != nil {
			_ = source.Close()
		}
	}
	var all vault.Config
	if err := all.Validate(); err == nil || len(errorsIn(err)) != 3 {
		t.Errorf("Validate of nothing = %v, want address, mount and method", err)
	}
}

func errorsIn(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}
