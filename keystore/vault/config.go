package vault

import (
	"log/slog"
	"strings"
	"time"
)

// The modes.
const (
	// KVMode: keys are read from Vault, and sign in memory.
	KVMode = "kv"
	// TransitMode: keys stay in a transit engine, and Vault signs.
	TransitMode = "transit"
)

// The ways to log in.
const (
	TokenMethod      = "token"
	AppRoleMethod    = "approle"
	KubernetesMethod = "kubernetes"
	JWTMethod        = "jwt"
	CertMethod       = "cert"
)

// Config is what a Source needs.
type Config struct {
	Address   string // http://, https:// or unix://
	CAFile    string // PEM of the CAs that Vault's certificate is checked with; "": the system's
	Namespace string // Vault Enterprise and OpenBao; "" none
	Mode      string // KVMode or TransitMode; "": KVMode
	Mount     string // of the KV version 2 engine, "secret": in both modes
	Prefix    string // path below the mount, "playgate"; "" none
	// TransitMount is where TransitMode finds the transit engine, "transit".
	TransitMount string
	Auth         Auth
	// Timeout bounds one exchange with Vault, its one retry included. 0: 5 s.
	Timeout time.Duration
	// SignTimeout bounds one call of transit, which is not retried. 0: 1 s.
	SignTimeout time.Duration
	// RelogInAfter spaces the log-ins that a refused token sets off (the first
	// is made at once); ten times that when the token proves to be valid, but
	// may not read the keys. 0: 30 s.
	RelogInAfter time.Duration
	Logger       *slog.Logger     // nil: slog.Default()
	Now          func() time.Time // nil: time.Now
}

// Auth says how to log in. Files are read at every log-in, and white space
// around their content is ignored.
type Auth struct {
	Method string // one of the methods above

	// TokenFile holds the token, for TokenMethod. "": none is sent, and the
	// address is that of a Vault Agent or Proxy, which adds its own (auto-auth).
	TokenFile string

	Mount string // where the method is mounted; "": at its own name
	// Role is the role of KubernetesMethod and JWTMethod; for CertMethod it may
	// be "", which lets Vault choose by the certificate.
	Role string

	RoleID       string // approle: this or RoleIDFile
	RoleIDFile   string
	SecretIDFile string // approle; "" if the role binds no secret ID
	// WrappedSecretIDFile holds, instead of SecretIDFile, a response-wrapping
	// token around the secret ID. It works once; the secret ID is remembered
	// until the file holds another one.
	WrappedSecretIDFile string

	JWTFile  string // kubernetes, jwt: holds the token to show; kubernetes: "" is ServiceAccountToken
	CertFile string // cert: PEM, read at every handshake
	KeyFile  string // cert: PEM
}

// ServiceAccountToken is where Kubernetes puts a pod's own token.
const ServiceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token" //nolint:gosec // a path, no secret

const (
	defaultTimeout      = 5 * time.Second
	defaultSignTimeout  = time.Second
	defaultRelogInAfter = 30 * time.Second
	defaultTransitMount = "transit"
)

func (c *Config) setDefaults() {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.SignTimeout <= 0 {
		c.SignTimeout = defaultSignTimeout
	}
	if c.RelogInAfter <= 0 {
		c.RelogInAfter = defaultRelogInAfter
	}
	if c.Mode == "" {
		c.Mode = KVMode
	}
	if c.TransitMount == "" {
		c.TransitMount = defaultTransitMount
	}
	if c.Auth.Mount == "" {
		c.Auth.Mount = c.Auth.Method
	}
	if c.Auth.JWTFile == "" && c.Auth.Method == KubernetesMethod {
		c.Auth.JWTFile = ServiceAccountToken
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the one place where the real clock is the default
	}
	for _, path := range []*string{&c.Mount, &c.Prefix, &c.TransitMount, &c.Auth.Mount} {
		*path = strings.Trim(*path, "/")
	}
}
