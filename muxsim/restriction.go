package muxsim

import (
	"net/http"
	"net/url"
	"strings"
)

// Restriction is a playback restriction (mux.md §2). The zero value denies
// every referrer, as an empty domain list does at Mux, and admits every user
// agent, which is Mux's default.
type Restriction struct {
	ID RestrictionID
	// AllowedDomains are hosts, "*", or "*.example.com", which covers exactly
	// one label.
	AllowedDomains  []string
	AllowNoReferrer bool
	// The user-agent switches are Mux's allow_… inverted, so that the zero
	// value is Mux's default.
	DenyNoUserAgent       bool
	DenyHighRiskUserAgent bool
}

// check applies the restriction; both halves must pass (INFERRED in §2).
func (r *Restriction) check(header http.Header) *refusal {
	if referrer := header.Get("Referer"); !r.allowsReferrer(referrer) {
		return refuse(ReferrerDenied, "The restriction %s does not allow this referrer.", r.ID)
	}
	if !r.allowsUserAgent(header.Get("User-Agent")) {
		return refuse(UserAgentDenied, "The restriction %s does not allow this user agent.", r.ID)
	}
	return nil
}

// allowsReferrer compares hosts without case and port; a Referer that is not a
// URL with a host is denied (UNVERIFIED at Mux).
func (r *Restriction) allowsReferrer(referrer string) bool {
	if referrer == "" {
		return r.AllowNoReferrer
	}
	u, err := url.Parse(referrer)
	if err != nil || u.Hostname() == "" {
		return false
	}
	host := strings.ToLower(u.Hostname())
	for _, domain := range r.AllowedDomains {
		if matchDomain(strings.ToLower(domain), host) {
			return true
		}
	}
	return false
}

func matchDomain(pattern, host string) bool {
	if pattern == "*" {
		return true
	}
	if suffix, ok := strings.CutPrefix(pattern, "*."); ok {
		label, rest, found := strings.Cut(host, ".")
		return found && label != "" && rest == suffix
	}
	return pattern == host
}

func (r *Restriction) allowsUserAgent(agent string) bool {
	if agent == "" {
		return !r.DenyNoUserAgent
	}
	return !r.DenyHighRiskUserAgent || !highRisk(agent)
}

// highRisk is the simulator's own short list: Mux does not publish its one.
func highRisk(agent string) bool {
	agent = strings.ToLower(agent)
	for _, name := range []string{"curl/", "wget/", "python-requests", "go-http-client", "lavf/", "yt-dlp", "youtube-dl", "headlesschrome"} {
		if strings.Contains(agent, name) {
			return true
		}
	}
	return false
}
