package policy

import (
	"net/netip"
	"net/url"
	"strings"
)

// hostOf returns the host of a URL, a referrer or an origin, in lower case,
// without port and without trailing dot; a text without a scheme is a host
// already. "" if there is none. Only http and https have one.
func hostOf(text string) string {
	authority := text
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return ""
		}
		authority = u.Host
	}
	u := url.URL{Host: authority}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if _, err := netip.ParseAddr(host); err == nil || isDomain(host) {
		return host
	}
	return ""
}

// inDomain reports whether the host of a URL, or a host, is a domain or lies
// below it.
func inDomain(text, domain string) bool {
	host := hostOf(text)
	domain = strings.TrimSuffix(strings.ToLower(domain), ".")
	if host == "" || !isDomain(domain) {
		return false
	}
	below, ok := strings.CutSuffix(host, domain)
	return ok && (below == "" || strings.HasSuffix(below, "."))
}

// isDomain reports whether a text is the name of a host: labels of letters,
// digits and hyphens (underscores, as browsers take them).
func isDomain(text string) bool {
	if text == "" || len(text) > maxHost {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(text, "."), ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i] | 0x20
			if (c < 'a' || c > 'z') && (label[i] < '0' || label[i] > '9') && label[i] != '-' && label[i] != '_' {
				return false
			}
		}
	}
	return true
}

// The classes of devices, in the order in which they are looked for.
const (
	deviceBot     = "bot"
	deviceConsole = "console"
	deviceTV      = "tv"
	deviceTablet  = "tablet"
	devicePhone   = "phone"
	deviceDesktop = "desktop"
	deviceUnknown = "unknown"
)

// marks are words of user agents, in lower case, and what they give away. The
// first that is found decides. They are those that the vendors' own pages name;
// a user agent is the client's word in any case.
var marks = [...]struct{ word, class string }{ //nolint:gochecknoglobals // a constant table
	{"bot", deviceBot}, {"crawler", deviceBot}, {"spider", deviceBot}, {"facebookexternalhit", deviceBot}, {"slurp", deviceBot},
	{"headlesschrome", deviceBot}, {"curl/", deviceBot}, {"wget/", deviceBot}, {"python-", deviceBot}, {"go-http-client", deviceBot},
	{"okhttp-bot", deviceBot}, {"whatsapp/", deviceBot}, {"skypeuripreview", deviceBot},

	{"playstation", deviceConsole}, {"xbox", deviceConsole}, {"nintendo", deviceConsole},

	{"apple tv", deviceTV}, {"appletv", deviceTV}, {"tvos", deviceTV}, {"android tv", deviceTV}, {"androidtv", deviceTV},
	{"googletv", deviceTV}, {"google tv", deviceTV}, {"smart-tv", deviceTV}, {"smarttv", deviceTV}, {"smart tv", deviceTV},
	{"hbbtv", deviceTV}, {"web0s", deviceTV}, {"webos.tv", deviceTV}, {"netcast", deviceTV}, {"roku", deviceTV}, {"crkey", deviceTV},
	{"bravia", deviceTV}, {"viera", deviceTV}, {"vidaa", deviceTV}, {"vizio", deviceTV}, {"philipstv", deviceTV}, {"nettv", deviceTV},
	{"; aft", deviceTV}, // Amazon's Fire TV: AFTT, AFTS, AFTMM, …

	{"ipad", deviceTablet}, {"tablet", deviceTablet}, {"playbook", deviceTablet}, {"kindle", deviceTablet}, {"silk/", deviceTablet},
	{"iphone", devicePhone}, {"ipod", devicePhone}, {"windows phone", devicePhone},
}

// deviceOf returns the class of the device that a user agent claims to be.
func deviceOf(userAgent string) string {
	text := strings.ToLower(userAgent)
	for i := range marks {
		if strings.Contains(text, marks[i].word) {
			return marks[i].class
		}
	}
	has := func(word string) bool { return strings.Contains(text, word) }
	switch {
	case has("tizen") && has("tv"):
		return deviceTV
	case has("android") && has("mozilla") && !has("mobile"): // as Google asks browsers on tablets to say
		return deviceTablet
	case has("android"), has("mobile"):
		return devicePhone
	case has("windows nt"), has("macintosh"), has("mac os x"), has("x11"), has("cros"), has("linux"):
		return deviceDesktop
	}
	return deviceUnknown
}
