package vault

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// The ways to log in.
const (
	TokenMethod   = "token"
	AppRoleMethod = "approle"
)

// Config is what a Source needs.
type Config struct {
	Address   string // http://, https:// or unix://
	Namespace string // Vault Enterprise and OpenBao; "" none
	Mount     string // of the KV version 2 engine, "secret"
	Prefix    string // path below the mount, "playgate"; "" none
	Auth      Auth
	// Timeout bounds one exchange with Vault, its one retry included. 0: 5 s.
	Timeout time.Duration
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
	Method string // TokenMethod or AppRoleMethod

	TokenFile string // token: holds the token

	Mount        string // approle: where it is mounted; "": "approle"
	RoleID       string // approle: this or RoleIDFile
	RoleIDFile   string
	SecretIDFile string // approle; "" if the role binds no secret ID
}

const (
	defaultTimeout      = 5 * time.Second
	defaultRelogInAfter = 30 * time.Second
)

func (c *Config) setDefaults() {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.RelogInAfter <= 0 {
		c.RelogInAfter = defaultRelogInAfter
	}
	if c.Auth.Mount == "" {
		c.Auth.Mount = AppRoleMethod
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the one place where the real clock is the default
	}
	c.Mount, c.Prefix, c.Auth.Mount = strings.Trim(c.Mount, "/"), strings.Trim(c.Prefix, "/"), strings.Trim(c.Auth.Mount, "/")
}

// Validate returns all that is wrong with the configuration, joined. It does no
// I/O.
func (c Config) Validate() error {
	var wrong []error
	if u, err := url.Parse(c.Address); err != nil || u.Host+u.Path == "" ||
		u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "unix" || u.User != nil || u.RawQuery != "" {
		wrong = append(wrong, fmt.Errorf("address: %q is not the http, https or unix URL of a Vault server", c.Address))
	}
	if c.Mount == "" || !plainPath(c.Mount) {
		wrong = append(wrong, fmt.Errorf("mount: %q is not a mount path", c.Mount))
	}
	if !plainPath(c.Prefix) {
		wrong = append(wrong, fmt.Errorf("prefix: %q is not a path", c.Prefix))
	}
	switch c.Auth.Method {
	case TokenMethod:
		if c.Auth.TokenFile == "" {
			wrong = append(wrong, errors.New("auth.token_file: must name a file"))
		}
	case AppRoleMethod:
		if (c.Auth.RoleID == "") == (c.Auth.RoleIDFile == "") {
			wrong = append(wrong, errors.New("auth: must have role_id or role_id_file, and not both"))
		}
		if !plainPath(c.Auth.Mount) {
			wrong = append(wrong, fmt.Errorf("auth.mount: %q is not a mount path", c.Auth.Mount))
		}
	default:
		wrong = append(wrong, fmt.Errorf("auth.method: %q is not token or approle", c.Auth.Method))
	}
	return errors.Join(wrong...)
}

// plainPath reports whether a path needs no escaping and cannot lead elsewhere.
func plainPath(path string) bool {
	if path = strings.Trim(path, "/"); path == "" {
		return true
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(path, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`%?#\*+`, r)
	})
}
