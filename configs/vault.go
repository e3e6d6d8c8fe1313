package configs

import (
	"crypto/x509"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

// Vault configures keys in HashiCorp Vault or OpenBao.
type Vault struct {
	Address         string        `yaml:"address" default:"http://127.0.0.1:8200" doc:"Base URL of the API, or of a Vault Agent or Proxy; unix:///run/vault.sock is a socket. VAULT_* in the environment are ignored."`
	CAFile          Path          `yaml:"ca_file" default:"" doc:"PEM file of the CAs that Vault's certificate is checked with; \"\" means the system's."`
	Namespace       string        `yaml:"namespace" default:"" doc:"Namespace of Vault Enterprise or OpenBao."`
	Mode            string        `yaml:"mode" default:"kv" enum:"kv,transit" doc:"kv: keys are read from Vault and sign in memory. transit: keys never leave Vault, which signs; their states stay in the KV engine."`
	Mount           string        `yaml:"mount" default:"secret" doc:"Where the KV version 2 engine is mounted."`
	Prefix          string        `yaml:"prefix" default:"playgate" doc:"Keys lie at <mount>/data/<prefix>/<environment>/signing-keys/<key id>."`
	TransitMount    string        `yaml:"transit_mount" default:"transit" doc:"Where the transit engine of the mode transit is mounted. Its keys are named <prefix>.<environment>.<key id>."`
	Auth            VaultAuth     `yaml:"auth" doc:"How the gateway logs in to Vault."`
	RefreshInterval time.Duration `yaml:"refresh_interval" default:"15s" doc:"How often keys are looked at again."`
}

// VaultAuth configures the login to Vault.
type VaultAuth struct {
	Method              string          `yaml:"method" default:"token" enum:"token,approle,kubernetes,jwt,cert" doc:"How to log in. Files are read again at each log-in."`
	TokenFile           Path            `yaml:"token_file" secret:"token" default:"/run/secrets/vault-token" doc:"File with the token, for the method token. \"\": none is sent, because a Vault Agent or Proxy at the address adds its own (auto-auth)."`
	Mount               string          `yaml:"mount" default:"" doc:"Where the method is mounted; \"\" means at its own name."`
	Role                string          `yaml:"role" default:"" doc:"The role, for the methods kubernetes and jwt; for cert, \"\" lets Vault choose by the certificate."`
	RoleID              string          `yaml:"role_id" default:"" doc:"The role ID, for the method approle."`
	RoleIDFile          Path            `yaml:"role_id_file" secret:"approle" default:"" doc:"File with the role ID, instead of role_id."`
	SecretIDFile        Path            `yaml:"secret_id_file" secret:"approle" default:"" doc:"File with the secret ID, for the method approle."`
	WrappedSecretIDFile Path            `yaml:"wrapped_secret_id_file" secret:"approle" default:"" doc:"File with a response-wrapping token around the secret ID, instead of secret_id_file. It works once, for one process."`
	JWTFile             Path            `yaml:"jwt_file" secret:"jwt,kubernetes" default:"" doc:"File with the JWT, for the methods jwt and kubernetes; for kubernetes, \"\" means the pod's own service account token."`
	CertFile            Path            `yaml:"cert_file" default:"" doc:"PEM file of the client certificate, for the method cert."`
	KeyFile             Path            `yaml:"key_file" secret:"cert" default:"" doc:"PEM file of its private key."`
	Token               playback.Secret // what token_file held when the configuration was loaded
	SecretID            playback.Secret // what secret_id_file held then
}

func (l *loader) checkVault() {
	const at = "keystore.vault"
	v := &l.config.Keystore.Vault
	l.checkVaultAddress(at+".address", &v.Address)
	l.checkVaultPath(at+".mount", &v.Mount, true)
	l.checkVaultPath(at+".prefix", &v.Prefix, false)
	l.checkVaultPath(at+".transit_mount", &v.TransitMount, true)
	if v.Mode == "transit" && !regexp.MustCompile(`\A(\w[\w./-]*)?\z`).MatchString(v.Prefix) {
		l.report.add(at+".prefix", "%q cannot begin the name of a transit key; want letters, digits, _, -, . and /", clipped(v.Prefix))
	}
	if l.config.Keystore.Driver != "vault" {
		return // what a store that is not used needs need not be there
	}
	if v.CAFile != "" {
		if text, ok := l.read(at+".ca_file", v.CAFile, maxJWKS); ok && !x509.NewCertPool().AppendCertsFromPEM(text) {
			l.report.add(at+".ca_file", "%s holds no certificate in PEM", v.CAFile)
		}
	}
	l.checkVaultPath(at+".auth.mount", &v.Auth.Mount, false)
	l.checkVaultAuth(at+".auth", v)
}

// checkVaultAddress checks a base URL, or unix:///PATH with a path that stands
// for itself.
func (l *loader) checkVaultAddress(at string, value *string) {
	socket, isSocket := strings.CutPrefix(*value, "unix://")
	switch {
	case !isSocket:
		l.checkBase(at, value)
	case !strings.HasPrefix(socket, "/") || socket == "/" || path.Clean(socket) != socket || strings.ContainsAny(socket, "?#% "):
		l.report.add(at, "want the absolute path of a socket, such as unix:///run/vault.sock")
	}
}

// checkVaultAuth does not open what whoever issues it renews in place (JWTs,
// certificates): a change of those asks for no reload.
func (l *loader) checkVaultAuth(path string, v *Vault) {
	a := &v.Auth
	required := func(name, value string) {
		if value == "" {
			l.report.add(path+"."+name, "is required by the method %s", a.Method)
		}
	}
	switch a.Method {
	case "token":
		if a.TokenFile != "" {
			a.Token = l.secret(path+".token_file", a.TokenFile)
		}
	case "approle":
		l.checkAppRole(path, a)
	case "kubernetes":
		required("role", a.Role)
	case "jwt":
		required("role", a.Role)
		required("jwt_file", string(a.JWTFile))
	case "cert":
		required("cert_file", string(a.CertFile))
		required("key_file", string(a.KeyFile))
		if !strings.HasPrefix(v.Address, "https://") {
			l.report.add("keystore.vault.address", "must be https for the method cert")
		}
	}
}

func (l *loader) checkAppRole(path string, a *VaultAuth) {
	switch {
	case a.RoleID != "" && a.RoleIDFile != "":
		l.report.add(path+".role_id_file", "is given besides role_id; want one of them")
	case a.RoleID == "" && a.RoleIDFile == "":
		l.report.add(path+".role_id", "is required by the method approle, or role_id_file")
	case a.RoleIDFile != "":
		l.secret(path+".role_id_file", a.RoleIDFile)
	}
	switch {
	case a.SecretIDFile != "" && a.WrappedSecretIDFile != "":
		l.report.add(path+".wrapped_secret_id_file", "is given besides secret_id_file; want one of them")
	case a.WrappedSecretIDFile == "":
		a.SecretID = l.secret(path+".secret_id_file", a.SecretIDFile)
	} // a wrapped one may be taken away once it was used
}

// checkVaultPath checks a path inside Vault and drops slashes around it.
func (l *loader) checkVaultPath(path string, value *string, required bool) {
	*value = strings.Trim(*value, "/")
	if *value == "" {
		if required {
			l.report.add(path, "is required")
		}
		return
	}
	for segment := range strings.SplitSeq(*value, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsAny(segment, "?#% ") {
			l.report.add(path, "%q is not a path in Vault", clipped(*value))
			return
		}
	}
}
