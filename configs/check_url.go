package configs

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"github.com/playgate/playgate/tenant"
)

// No message about a URL repeats it: someone may have put a password there.
var (
	errURL      = errors.New("want an absolute URL, https://…")
	errHost     = errors.New("want a URL with a host")
	errPort     = errors.New("want a port of 1 to 65535")
	errUser     = errors.New("must not have a user name or password")
	errFragment = errors.New("must not have a fragment")
	errQuery    = errors.New("must not have a query")
)

// parseURL accepts absolute http and https URLs with a host, and without what
// has no meaning here or hides a secret: user info and fragments.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" {
		return nil, errURL
	}
	_, ipErr := netip.ParseAddr(u.Hostname())
	host := tenant.NormalizeHost(u.Hostname())
	switch {
	case ipErr != nil && (!tenant.ValidHost(host) || looksLikeIPv4(host)):
		return nil, errHost
	case u.User != nil:
		return nil, errUser
	case strings.Contains(text, "#"):
		return nil, errFragment
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := wholeNumber(port); err != nil || n < 1 || n > 65535 {
			return nil, errPort
		}
	}
	return u, nil
}

// looksLikeIPv4 reports whether a host that is no IP address might be taken
// for one by a resolver: 169.254.43518, 2852039166 and 0xa9fea9fe are all
// 169.254.169.254 to inet_aton.
func looksLikeIPv4(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	digits := strings.TrimPrefix(last, "0x")
	set := "0123456789"
	if digits != last {
		set += "abcdef"
	}
	return strings.Trim(digits, set) == ""
}

// checkBase checks a base URL, and drops the slashes at its end.
func (l *loader) checkBase(path string, value *string) {
	u, err := parseURL(*value)
	if err == nil && (u.RawQuery != "" || u.ForceQuery) {
		err = errQuery
	}
	if err != nil {
		l.report.add(path, "%s", err)
		return
	}
	*value = strings.TrimRight(*value, "/")
}

// checkJWKSURL checks where a key set is fetched (contract §3): https, plain
// http only on this machine, and never a link-local address, where clouds
// serve their machines' credentials. identity checks again what a name
// resolves to.
func (l *loader) checkJWKSURL(path, text string) {
	u, err := parseURL(text)
	if err != nil {
		l.report.add(path, "%s", err)
		return
	}
	addr, err := netip.ParseAddr(u.Hostname())
	addr = addr.Unmap()
	switch {
	case err == nil && (addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() || addr.Zone() != ""):
		l.report.add(path, "must not be a link-local address")
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		l.report.add(path, "want https, or http on a loopback address")
	case strings.ContainsAny(text, placeholders):
		l.report.add(path, "has a placeholder in {} or <>: want the URL that the issuer really serves")
	}
}

// plainHTTP reports whether a URL that was checked sends everything in clear
// text over a network.
func plainHTTP(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "http" && !isLoopback(u.Hostname())
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	host = tenant.NormalizeHost(host)
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// normalizeOrigin returns an origin as browsers send it (RFC 6454 §6.2): lower
// case, without the scheme's own port.
func normalizeOrigin(text string) (string, bool) {
	scheme, host, ok := strings.Cut(strings.ToLower(text), "://")
	if !ok || !validScheme(scheme) || strings.ContainsAny(host, "/?#@\\ ") {
		return "", false
	}
	u, err := url.Parse(scheme + "://" + host)
	if err != nil || !tenant.ValidHost(tenant.NormalizeHost(u.Hostname())) || strings.HasSuffix(u.Host, ":") {
		return "", false
	}
	port := u.Port()
	if port != "" {
		if n, err := wholeNumber(port); err != nil || n < 1 || n > 65535 {
			return "", false
		}
	}
	if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return scheme + "://" + host, true
}

// validScheme matches RFC 3986 §3.1, in lower case.
func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}
