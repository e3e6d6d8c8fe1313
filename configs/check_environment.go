package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

func (l *loader) checkEnvironment(path string, e *Environment) {
	for i := range e.Hosts {
		l.checkHost(fmt.Sprintf("%s.hosts[%d]", path, i), &e.Hosts[i])
	}
	l.checkMux(path+".mux", &e.Mux)
	l.checkBase(path+".delivery.stream", &e.Delivery.Stream)
	l.checkBase(path+".delivery.image", &e.Delivery.Image)
	l.checkBase(path+".delivery.license", &e.Delivery.License)
	l.checkBase(path+".delivery.stats", &e.Delivery.Stats)
	l.checkToken(path+".token", &e.Token)
	l.checkViewers(path+".viewers", e.Viewers)
	l.checkViewerNames(path, e)
	l.checkCORS(path+".cors_origins", e)
	for i := range e.AccessTokens {
		if t := &e.AccessTokens[i]; t.ID != "" && !tenant.ValidAccessTokenID(t.ID) {
			l.report.add(fmt.Sprintf("%s.access_tokens[%d].id", path, i), "%q does not match ^[A-Za-z0-9_-]{1,128}$", clipped(t.ID))
		}
	}
	for _, p := range catalog.Check(e.Entries()) {
		l.report.add(path+"."+p.Path, "%s", p.Message)
	}
	l.checkWebhooks(path, e)
	l.checkCatalog(path, e)
	l.checkPolicy(path, e)
	l.warnEnvironment(path, e)
}

// checkHost checks a host, and puts it in the form in which Host is compared.
func (l *loader) checkHost(path string, host *string) {
	normal := tenant.NormalizeHost(*host)
	unported := strings.TrimSuffix(strings.ToLower(*host), ".")
	switch {
	case !tenant.ValidHost(normal):
		l.report.add(path, "%q is no host: want a name such as play.acme.example, or an IP address", clipped(*host))
	case strings.Contains(unported, ":") && !strings.Contains(normal, ":"), strings.Contains(unported, "]:"):
		l.report.add(path, "%q: a host is written without its port, which is not compared", clipped(*host))
	}
	*host = normal
}

func (l *loader) checkToken(path string, t *Token) {
	if t.DefaultTTL > t.MaxTTL && !l.report.hasFailed(path+".max_ttl") {
		l.report.add(path+".default_ttl", "%s is longer than max_ttl, %s", playback.FormatDuration(t.DefaultTTL), playback.FormatDuration(t.MaxTTL))
	}
	if t.PseudonymKeyFile != "" {
		t.PseudonymKey = l.secret(path+".pseudonym_key_file", t.PseudonymKeyFile)
	}
}

// checkViewerNames checks the names of the cookie and the query parameter that
// may carry a viewer token.
func (l *loader) checkViewerNames(path string, e *Environment) {
	if strings.ContainsFunc(e.ViewerCookie, notTokenChar) {
		l.report.add(path+".viewer_cookie", "%q is no name of a cookie", clipped(e.ViewerCookie))
	}
	name := e.ViewerQuery
	switch {
	case name == "":
	case len(name) > 64 || strings.ContainsFunc(name, notQueryChar):
		l.report.add(path+".viewer_query", "%q is no name of a query parameter: want letters, digits and . _ ~ -", clipped(name))
	case reservedQuery(name):
		l.report.add(path+".viewer_query", "%q is a parameter with a meaning of its own", name)
	}
}

// reservedQuery reports whether a query parameter means something to Mux or to
// the gateway on the routes that read viewer_query. Case does not make a name
// another one: people would mix them up.
func reservedQuery(name string) bool {
	lower := strings.ToLower(name)
	switch lower {
	case "token", "type", "min_ttl", "session_id", // contract §3
		"playback_id", "asset_id", "live_stream_id", // /stats/counts
		"download": // static renditions (mux.md §1.4)
		return true
	}
	if playback.IsParamName(name) || playback.IsReservedClaim(lower) {
		return true
	}
	for t := range playback.TokenTypes {
		if slices.ContainsFunc(playback.ParamNames(t), func(p string) bool { return strings.EqualFold(p, name) }) {
			return true
		}
	}
	return false
}

// notTokenChar reports whether a character may not stand in a token of RFC
// 9110 §5.6.2, such as a cookie's name.
func notTokenChar(c rune) bool {
	return !isLetterOrDigit(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// notQueryChar reports whether a character would have to be escaped in a query
// (RFC 3986 §2.3); a name with two spellings could slip past its removal.
func notQueryChar(c rune) bool { return !isLetterOrDigit(c) && !strings.ContainsRune("._~-", c) }

func isLetterOrDigit(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func (l *loader) checkCORS(path string, e *Environment) {
	for i, text := range e.CORSOrigins {
		at := fmt.Sprintf("%s[%d]", path, i)
		if text == "*" {
			if e.ViewerCookie != "" {
				l.report.add(at, "\"*\" with viewer_cookie would let every site act for its visitors")
			}
			continue
		}
		origin, ok := normalizeOrigin(text)
		if !ok {
			l.report.add(at, "%q is no origin: want scheme://host[:port] without a path, or \"*\"", clipped(text))
			continue
		}
		e.CORSOrigins[i] = origin
	}
}

func (l *loader) checkPolicy(path string, e *Environment) {
	l.checkShadow(path, e)
	at := path + ".policy_file"
	if e.PolicyFile == "" {
		return
	}
	if e.Policy.Document != nil {
		l.report.add(at, "is given besides policy; want one of them")
		return
	}
	if document, ok := l.read(at, e.PolicyFile, maxPolicy); ok {
		e.Policy = Policy{Document: document, File: string(e.PolicyFile), Path: at}
	}
}

// checkShadow reads the rules that are asked beside those in force. The two need
// a file each: promotion replaces one by the other.
func (l *loader) checkShadow(path string, e *Environment) {
	at := path + ".policy_shadow_file"
	switch e.PolicyShadowFile {
	case "":
		return
	case e.PolicyFile:
		l.report.add(at, "is policy_file itself")
		return
	}
	if document, ok := l.read(at, e.PolicyShadowFile, maxPolicy); ok {
		e.Shadow = Policy{Document: document, File: string(e.PolicyShadowFile), Path: at}
	}
}
