package vault

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// Validate returns all that is wrong with the configuration, joined. It does no
// I/O.
func (c Config) Validate() error {
	var wrong []error
	if !validAddress(c.Address) {
		wrong = append(wrong, errors.New("address: want the URL of a Vault server, such as https://vault.example:8200 or unix:///run/vault.sock"))
	}
	if c.Mount == "" || !plainPath(c.Mount) {
		wrong = append(wrong, fmt.Errorf("mount: %q is not a mount path", c.Mount))
	}
	if !plainPath(c.Prefix) {
		wrong = append(wrong, fmt.Errorf("prefix: %q is not a path", c.Prefix))
	}
	if !plainPath(c.TransitMount) {
		wrong = append(wrong, fmt.Errorf("transit_mount: %q is not a mount path", c.TransitMount))
	}
	switch c.Mode {
	case "", KVMode:
	case TransitMode:
		if !transitName(transitPrefix(c.Prefix) + "x") {
			wrong = append(wrong, fmt.Errorf("prefix: %q cannot begin the name of a transit key; want letters, digits, _, -, . and /", c.Prefix))
		}
	default:
		wrong = append(wrong, fmt.Errorf("mode: %q is not kv or transit", c.Mode))
	}
	return errors.Join(append(wrong, c.validateAuth()...)...)
}

// validAddress reports whether the address is an http or https URL, or
// unix:///PATH with a path that stands for itself.
func validAddress(address string) bool {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(address, "#"):
		return false
	case u.Scheme == "unix":
		return u.Host == "" && len(u.Path) > 1 && path.Clean(u.Path) == u.Path && address == "unix://"+u.Path
	}
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func (c Config) validateAuth() []error {
	var wrong []error
	a := &c.Auth
	required := func(name, value string) {
		if value == "" {
			wrong = append(wrong, fmt.Errorf("auth.%s: is required by the method %s", name, a.Method))
		}
	}
	if !plainPath(a.Mount) {
		wrong = append(wrong, fmt.Errorf("auth.mount: %q is not a mount path", a.Mount))
	}
	switch a.Method {
	case TokenMethod:
	case AppRoleMethod:
		if (a.RoleID == "") == (a.RoleIDFile == "") {
			wrong = append(wrong, errors.New("auth: must have role_id or role_id_file, and not both"))
		}
		if a.SecretIDFile != "" && a.WrappedSecretIDFile != "" {
			wrong = append(wrong, errors.New("auth: must not have both secret_id_file and wrapped_secret_id_file"))
		}
	case KubernetesMethod:
		required("role", a.Role)
	case JWTMethod:
		required("role", a.Role)
		required("jwt_file", a.JWTFile)
	case CertMethod:
		required("cert_file", a.CertFile)
		required("key_file", a.KeyFile)
		if !strings.HasPrefix(c.Address, "https://") {
			wrong = append(wrong, errors.New("address: the method cert needs https"))
		}
	default:
		wrong = append(wrong, fmt.Errorf("auth.method: %q is not token, approle, kubernetes, jwt or cert", a.Method))
	}
	return wrong
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
