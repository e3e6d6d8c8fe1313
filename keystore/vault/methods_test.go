package vault_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
)

// jwtFor makes a token like those of a cluster, good for a while.
func jwtFor(t *testing.T, subject string, life time.Duration) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"sub": subject, "aud": "vault", "iat": time.Now().Unix(), "exp": time.Now().Add(life).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, keystoretest.Private(t, 4), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// useJWT logs in with a JWT at a mount, by either method.
func (r *rig) useJWT(method, mount string, settings map[string]any) {
	r.Helper()
	public, err := x509.MarshalPKIXPublicKey(&keystoretest.Private(r, 4).PublicKey)
	r.check(err)
	all := map[string]any{"token_policies": r.policy(), "bound_subject": "gateway"}
	maps.Copy(all, settings)
	r.server.JWTRole(mount, r.prefix, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), all)
	r.config.Auth = vault.Auth{Method: method, Mount: mount, Role: r.prefix, JWTFile: r.server.File(r.prefix+"-jwt", jwtFor(r.T, "gateway", time.Minute)+"\n")}
}

func methods(t *testing.T, p *prefixes) {
	for _, c := range []struct {
		name string
		edit func(*rig)
		test func(*rig)
	}{
		{"kubernetes logs in with the pod's token", func(r *rig) {
			r.useJWT(vault.KubernetesMethod, "kubernetes", nil)
			r.config.Auth.Mount = "" // its own name
		}, func(r *rig) {
			r.want("K1 active")
			r.want("K1 active")
			r.logIns(1)
		}},
		{"kubernetes reads the token anew at every log-in", func(r *rig) {
			r.useJWT(vault.KubernetesMethod, "kubernetes", nil)
		}, func(r *rig) {
			r.want("K1 active")
			r.server.File(r.prefix+"-jwt", jwtFor(r.T, "somebody else", time.Minute))
			r.revokeMine()
			r.wantError("logging in to Vault", "auth/kubernetes/login", "Vault answered 400")
			r.server.File(r.prefix+"-jwt", jwtFor(r.T, "gateway", time.Minute))
			r.forward(time.Minute)
			r.want("K1 active")
		}},
		{"jwt logs in at a mount of any name", func(r *rig) { r.useJWT(vault.JWTMethod, "clusters/eu", nil) }, func(r *rig) {
			r.want("K1 active")
		}},
		{"jwt: an expired token is refused in plain words", func(r *rig) {
			r.useJWT(vault.JWTMethod, "jwt", nil)
			r.server.File(r.prefix+"-jwt", jwtFor(r.T, "gateway", -time.Hour))
		}, func(r *rig) { r.wantError("auth/jwt/login", "Vault answered 400", "expired") }},
		{"jwt: a missing file is an error", func(r *rig) {
			r.useJWT(vault.JWTMethod, "jwt", nil)
			r.config.Auth.JWTFile += "-gone"
		}, func(r *rig) { r.wantError("reading JWT file") }},
		{"a token is replaced although nobody asks", func(r *rig) {
			r.useJWT(vault.JWTMethod, "jwt", map[string]any{"token_ttl": "2s", "token_max_ttl": "2s"})
		}, func(r *rig) {
			r.want("K1 active")
			r.eventually("two more log-ins", func() bool { return r.proxy.count("login") >= 3 })
			r.want("K1 active")
		}},
		{"a token is replaced as soon as Vault lets it", func(r *rig) {
			r.useJWT(vault.JWTMethod, "jwt", map[string]any{"token_type": "batch", "token_ttl": "8s"})
		}, func(r *rig) {
			r.want("K1 active")
			r.proxy.fail(func(w http.ResponseWriter, q *http.Request) bool {
				if kind(q) == "login" {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				return kind(q) == "login"
			})
			r.eventually("a failed log-in", func() bool { return r.proxy.count("login") >= 2 })
			r.proxy.fail(nil)
			failed := r.proxy.count("login")
			r.eventually("a log-in", func() bool { return r.proxy.count("login") > failed })
			r.want("K1 active")
		}},
		{"a wrapped secret ID is unwrapped once and remembered", (*rig).useWrapped, func(r *rig) {
			r.want("K1 active")
			r.revokeAll()
			r.want("K1 active") // with the file as it was
			r.check(os.Remove(r.config.Auth.WrappedSecretIDFile))
			r.revokeMine()
			r.forward(time.Minute)
			r.want("K1 active") // and without it
			r.logIns(3)
		}},
		{"a wrapping token that somebody else has used is an alarm", func(r *rig) {
			r.useWrapped()
			text, err := os.ReadFile(r.config.Auth.WrappedSecretIDFile)
			r.check(err)
			_, err = r.server.Client().Logical().UnwrapWithContext(r.Context(), string(text))
			r.check(err)
		}, func(r *rig) {
			r.wantError("looking the wrapping token up", "Vault answered 400", "works once", "somebody else knows")
			r.server.File(r.prefix+"-wrapped", r.server.WrappedSecretID(r.prefix))
			r.forward(time.Minute)
			r.want("K1 active")
		}},
		{"a wrapping token around something else is not unwrapped", func(r *rig) {
			r.useWrapped()
			r.server.File(r.prefix+"-wrapped", r.server.Wrapped("sys/wrapping/wrap", map[string]any{"secret_id": "x"}))
		}, func(r *rig) { r.wantError("sys/wrapping/wrap", "may have been put there by an attacker") }},
		{"an agent or proxy adds the token", func(r *rig) {
			r.useAppRole(nil)
			roleFile := r.server.File(r.prefix+"-role", r.config.Auth.RoleID)
			r.config.Address = r.server.Proxy(roleFile, r.config.Auth.SecretIDFile)
			r.config.Auth = vault.Auth{Method: vault.TokenMethod}
		}, func(r *rig) {
			r.eventually("the proxy has logged in", func() bool {
				keys, _, err := r.load()
				return err == nil && keys == "K1 active"
			})
		}},
		{"no token, and no agent either", func(r *rig) {
			r.config.Auth = vault.Auth{Method: vault.TokenMethod}
		}, func(r *rig) {
			r.wantError("403", "no token is sent", "auth.token_file is empty")
			r.logIns(0)
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

func (r *rig) useWrapped() {
	r.useAppRole(nil)
	r.config.Auth.SecretIDFile = ""
	r.config.Auth.WrappedSecretIDFile = r.server.File(r.prefix+"-wrapped", r.server.WrappedSecretID(r.prefix)+"\n")
}

// revokeMine makes Vault refuse every token that the source has, and lets it
// log in again at once.
func (r *rig) revokeMine() {
	r.Helper()
	r.revokeAll()
	r.forward(31 * time.Second)
}

// TestCertLogsInWithTheCertificateOfTheDay needs a server with https.
func TestCertLogsInWithTheCertificateOfTheDay(t *testing.T) {
	t.Parallel()
	server := vaulttest.DevTLS(t)
	authority := newAuthority(t)
	directory := t.TempDir()
	certFile, keyFile := filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key")
	write := func(from *authority509, name string) {
		certPEM, keyPEM := from.issue(t, name)
		for file, text := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(authority, "gateway")
	server.Policy("gate", vaulttest.GatewayPolicy(t, "secret", "gate"))
	server.CertRole("gate", authority.pem, map[string]any{"allowed_common_names": "gateway", "token_policies": "gate", "token_ttl": "6s", "token_max_ttl": "12s"})
	if _, err := server.Client().KVv2("secret").Put(t.Context(), "gate/acme/signing-keys/K1", entry(t, 1, keystore.Active)); err != nil {
		t.Fatal(err)
	}
	source, err := vault.New(vault.Config{
		Address: server.Address, CAFile: server.CAFile, Mount: "secret", Prefix: "gate", Logger: slog.New(slog.DiscardHandler), RelogInAfter: time.Millisecond,
		Auth: vault.Auth{Method: vault.CertMethod, Role: "gate", CertFile: certFile, KeyFile: keyFile},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	load := func() error {
		_, _, err := keystore.Load(t.Context(), source, acme)
		return err
	}
	if err := load(); err != nil {
		t.Fatal(err)
	}
	tokens := func() int {
		list, err := server.Client().Logical().ListWithContext(t.Context(), "auth/token/accessors")
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Data["keys"].([]any))
	}
	// Another certificate is shown from the next log-in on: first a wrong one,
	// which ends with the token, then a right one.
	write(authority, "intruder")
	eventually(t, "the wrong certificate is refused", func() bool { return load() != nil })
	write(authority, "gateway")
	eventually(t, "the right certificate logs in", func() bool { return load() == nil })
	if n := tokens(); n < 2 {
		t.Errorf("%d tokens, want the root's and the gateway's", n)
	}
}

// authority509 issues client certificates.
type authority509 struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
}

func newAuthority(t *testing.T) *authority509 {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority509{certificate, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

func (a *authority509) issue(t *testing.T, name string) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}
