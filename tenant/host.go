package tenant

import (
	"net/netip"
	"strings"
)

// maxHost is the length of the longest DNS name in text form (RFC 1035 §2.3.4).
const maxHost = 253

// NormalizeHost returns the form of a Host header, or of a configured host, in
// which hosts are compared: lower case, without a port, one trailing dot or
// the brackets of an IPv6 literal, IP addresses in their canonical text. It
// allocates only if there is something to rewrite. Text that is no host at all
// comes back as something that no ValidHost equals.
func NormalizeHost(host string) string {
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 || !isPort(host[end+1:]) {
			return host
		}
		return canonicalIPv6(host[1:end], host)
	}
	switch first := strings.IndexByte(host, ':'); {
	case first < 0:
	case strings.IndexByte(host[first+1:], ':') >= 0: // IPv6 without brackets
		return canonicalIPv6(host, host)
	case !isPort(host[first:]):
		return host
	default:
		host = host[:first]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// isPort reports whether s may follow a host: nothing, or a colon and digits
// (RFC 3986 §3.2.3 allows none).
func isPort(s string) bool {
	if s == "" {
		return true
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s[0] == ':'
}

// canonicalIPv6 returns an IPv6 address in the text of RFC 5952, or otherwise
// if it is none.
func canonicalIPv6(text, otherwise string) string {
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is6() {
		return otherwise
	}
	return addr.String()
}

// ValidHost reports whether a normalized host can be served: a DNS name of
// letters, digits, hyphens and underscores (which container networks use), or
// an IP address without a zone.
func ValidHost(host string) bool {
	if strings.IndexByte(host, ':') >= 0 {
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.Zone() == ""
	}
	if host == "" || len(host) > maxHost {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return true
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isIP reports whether a normalized host is an IP literal, which has no
// stream. and image. names below it.
func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
