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
// first that is found decides; a user agent is the client's word in any case.
// "; aft" is Amazon's Fire TV: AFTT, AFTS, AFTMM, ….
var marks = [...]struct { //nolint:gochecknoglobals // a constant table
	class string
	words []string
}{
	{deviceBot, []string{
		"bot", "crawler", "spider", "slurp", "facebookexternalhit", "whatsapp/", "skypeuripreview", "headlesschrome",
		"curl/", "wget/", "python-", "go-http-client",
	}},
	{deviceConsole, []string{"playstation", "xbox", "nintendo"}},
	{deviceTV, []string{
		"apple tv", "appletv", "tvos", "android tv", "androidtv", "googletv", "google tv", "smart-tv", "smarttv", "smart tv",
		"hbbtv", "web0s", "webos.tv", "netcast", "roku", "crkey", "bravia", "viera", "vidaa", "vizio", "philipstv", "nettv", "; aft",
	}},
	{deviceTablet, []string{"ipad", "tablet", "playbook", "kindle", "silk/"}},
	{devicePhone, []string{"iphone", "ipod", "windows phone"}},
}

// deviceOf returns the class of the device that a user agent claims to be.
func deviceOf(userAgent string) string {
	text := strings.ReplaceAll(strings.ToLower(userAgent), "cubot", "") // a maker of phones
	for i := range marks {
		for _, word := range marks[i].words {
			if strings.Contains(text, word) {
				return marks[i].class
			}
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
