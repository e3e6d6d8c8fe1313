package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

// Issuer is one entry of an environment's viewers: who may identify a viewer
// there, and how far that is believed.
type Issuer struct {
	Environment playback.EnvironmentID
	Issuer      string               // must equal the token's iss
	Alias       string               // becomes viewer.issuer, unique in the environment
	Recipients  []playback.Recipient // the token must be for one of them
	JWKSURL     string               // https, or http on a loopback host; or
	JWKSFile    string               // a file that holds the key set
	CAs         string               // certificates in PEM that the server of JWKSURL is checked with; "": the system's
	Algorithms  []string
	Types       []string      // the header's typ must be one of them, as media types; none: it may be anything
	MaxLifetime time.Duration // bound of exp − (iat or now)
	IATLeeway   time.Duration // how far iat may be ahead; 0: 30 seconds
}

// Validate reports everything that is wrong with the issuer, joined.
func (i Issuer) Validate() error {
	var problems []error
	missing := func(name, value string) {
		if value == "" {
			problems = append(problems, fmt.Errorf("%s is missing", name))
		}
	}
	if !i.Environment.Valid() {
		problems = append(problems, fmt.Errorf("%.80q is not an environment ID", i.Environment))
	}
	missing("issuer", i.Issuer)
	missing("alias", i.Alias)
	if len(i.Recipients) == 0 {
		problems = append(problems, errors.New("recipients are missing: a token that is meant for others would do"))
	}
	for _, r := range i.Recipients {
		missing(string(r.Claim), r.Value)
	}
	switch {
	case i.JWKSURL != "" && i.JWKSFile != "":
		problems = append(problems, errors.New("jwks_url and jwks_file exclude each other"))
	case i.JWKSURL != "":
		if _, err := parseJWKSURL(i.JWKSURL); err != nil {
			problems = append(problems, err)
		}
	case i.JWKSFile == "":
		problems = append(problems, errors.New("one of jwks_url and jwks_file is required"))
	}
	if i.CAs != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(i.CAs)) {
		problems = append(problems, errors.New("ca_file holds no certificate in PEM"))
	}
	if len(i.Algorithms) == 0 {
		problems = append(problems, errors.New("algorithms is empty: no token could be accepted"))
	}
	for _, a := range i.Algorithms {
		if !slices.Contains(Algorithms(), canonical(a)) {
			problems = append(problems, fmt.Errorf("algorithm %.40q is not one of %s", a, strings.Join(Algorithms(), ", ")))
		}
	}
	if i.MaxLifetime <= 0 {
		problems = append(problems, errors.New("max_lifetime must be positive"))
	}
	if i.IATLeeway < 0 {
		problems = append(problems, errors.New("iat_leeway must not be negative"))
	}
	return errors.Join(problems...)
}

// normalized returns a copy with each algorithm under one name, once, and
// defaults filled in.
func (i Issuer) normalized() Issuer {
	i.Recipients = slices.Clone(i.Recipients)
	if i.IATLeeway == 0 {
		i.IATLeeway = leeway
	}
	given := i.Algorithms
	i.Algorithms = make([]string, 0, len(given))
	for _, a := range given {
		if a = canonical(a); !slices.Contains(i.Algorithms, a) {
			i.Algorithms = append(i.Algorithms, a)
		}
	}
	types := i.Types
	i.Types = nil
	for _, typ := range types {
		i.Types = append(i.Types, mediaType(typ))
	}
	return i
}

// mediaType returns the media type that a typ stands for: without a slash,
// "application/" is meant to be in front of it (RFC 7515 §4.1.9). Case does not
// count.
func mediaType(typ string) string {
	if !strings.Contains(typ, "/") {
		typ = "application/" + typ
	}
	return strings.ToLower(typ)
}

// allows reports whether tokens of the issuer may have the typ; "" is none.
func (i Issuer) allows(typ string) bool {
	return len(i.Types) == 0 || typ != "" && slices.Contains(i.Types, mediaType(typ))
}

// pins reports whether tokens of the issuer may be signed by the algorithm.
func (i Issuer) pins(algorithm string) bool { return slices.Contains(i.Algorithms, algorithm) }

// accepts reports whether the token is of the issuer and for one of its
// recipients.
func (i Issuer) accepts(t *token) bool {
	return i.Issuer == t.issuer && slices.ContainsFunc(i.Recipients, func(r playback.Recipient) bool {
		return slices.Contains(t.recipients, r)
	})
}

func (i Issuer) equal(other Issuer) bool { return reflect.DeepEqual(i, other) }

// location tells key sets apart: issuers with the same location share theirs.
func (i Issuer) location() string {
	if i.JWKSFile != "" {
		return "file " + i.JWKSFile
	}
	return "url " + i.JWKSURL + " " + i.CAs
}

// parseJWKSURL checks what can be known of a key set's URL before its host is
// resolved; the dialer checks the addresses (see checkAddress).
func parseJWKSURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("jwks_url is not a URL") // the cause would quote it, query and all
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("jwks_url must start with https://")
	case host == "":
		return nil, errors.New("jwks_url has no host")
	case u.User != nil:
		return nil, errors.New("jwks_url must not hold a password")
	case u.Scheme == "http" && !isLoopbackHost(host):
		return nil, errors.New("jwks_url must be https: http is allowed only to a loopback host")
	}
	if address, err := netip.ParseAddr(host); err == nil {
		if err := checkAddress(address, false); err != nil {
			return nil, fmt.Errorf("jwks_url: %w", err)
		}
	}
	return u, nil
}

// isLoopbackHost knows loopback addresses, and the names that RFC 6761 §6.3
// reserves for them. The dialer makes sure that the names keep their word.
func isLoopbackHost(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().IsLoopback()
	}
	host = strings.TrimSuffix(host, ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
