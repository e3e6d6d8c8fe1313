package policy

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"

	"github.com/playgate/playgate/playback"
)

// doubtAt returns what tells texts that cannot stand at an open place, and why;
// nil where any text can.
func (l *language) doubtAt(at place) func(text string) string {
	if len(at.keys) > 0 {
		return nil
	}
	invalid := func(valid func(text string) bool, why string) func(string) string {
		return func(text string) string {
			if valid(text) {
				return ""
			}
			return why
		}
	}
	const muxID = "a Mux ID has letters and digits only, at most 255"
	switch at.shape {
	case playbackShape:
		if at.field == playbackID {
			return invalid(func(text string) bool { return playback.ID(text).Valid() }, muxID)
		}
	case assetShape:
		if at.field == assetID {
			return invalid(func(text string) bool { return playback.AssetID(text).Valid() }, muxID)
		}
	case liveStreamShape:
		if at.field == liveStreamID {
			return invalid(func(text string) bool { return playback.LiveStreamID(text).Valid() }, muxID)
		}
	case environmentShape:
		if at.field == environmentID {
			return invalid(func(text string) bool { return playback.EnvironmentID(text).Valid() },
				"an environment's ID has lower-case letters, digits and -, at most 63")
		}
	case viewerShape:
		if at.field == viewerIssuer {
			return l.issuerDoubt
		}
	case requestShape:
		return requestDoubt(at.field)
	}
	return nil
}

func requestDoubt(field int) func(string) string {
	switch field {
	case requestIP:
		return addressDoubt
	case requestOrigin:
		return originDoubt
	case requestRegion:
		return regionDoubt
	case requestSessionID:
		return func(text string) string {
			if playback.SessionID(text).Valid() {
				return ""
			}
			return "a session ID has letters, digits, - and _, at most 64"
		}
	}
	return nil
}

// issuerDoubt is about viewer.issuer, which is the alias of the configuration.
func (l *language) issuerDoubt(text string) string {
	if strings.Contains(text, "://") {
		return "it is the issuer's alias (viewers[].alias), not its URL"
	}
	return foreignIssuer(text, l.issuers)
}

// foreignIssuer says of an alias that it is none of the environment's. It is no
// error: a document may serve environments that have other issuers.
func foreignIssuer(alias string, issuers []string) string {
	switch {
	case issuers == nil, slices.Contains(issuers, alias):
		return ""
	case len(issuers) == 0:
		return "the environment has no issuers (viewers)"
	}
	return fmt.Sprintf("the environment's issuers are %s%s", strings.Join(issuers, ", "), didYouMean(alias, issuers))
}

func addressDoubt(text string) string {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return fmt.Sprintf(`it is one address; write isIP(request.ip) && cidr(%q).containsIP(request.ip)`, prefix.Masked())
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return "it is an address such as 203.0.113.9 or 2001:db8::9"
	}
	if plain := addr.Unmap().WithZone("").String(); plain != text {
		return fmt.Sprintf("the address is written %s", plain)
	}
	return ""
}

// originDoubt is about the Origin header: RFC 6454 §6.2 and what browsers send.
func originDoubt(text string) string {
	if text == "null" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return `it is a scheme and a host such as "https://acme.example"; inDomain(request.origin, "acme.example") asks for the host`
	}
	if plain := strings.ToLower(u.Scheme + "://" + u.Host); plain != text {
		return fmt.Sprintf("it has no path and no capital letters: %q", plain)
	}
	return ""
}

var regionWithCountry = regexp.MustCompile(`\A[A-Z]{2}-[A-Z0-9]{1,3}\z`)

func regionDoubt(text string) string {
	if !regionWithCountry.MatchString(text) {
		return ""
	}
	return fmt.Sprintf("without the country in front it is %q, unless your backend sends it so", text[3:])
}

// paramDoubt is about a member of request.params.
func paramDoubt(name string) func(string) string {
	return func(text string) string {
		why := ""
		for t := range playback.TokenTypes {
			if !playback.KnownParam(t, name) {
				continue
			}
			p, err := playback.ParseParam(t, name, text)
			if err == nil {
				if _, isText := p.Value().(string); isText {
					return ""
				}
				why = "it is no text: compare it with " + p.Text()
				continue
			}
			why = strings.TrimPrefix(err.Message, name+": ")
		}
		return why
	}
}

// predicate warns of startsWith(), contains() and the like that no word of a
// closed set satisfies.
func (c *literalCheck) predicate(e ast.Expr, s scope) {
	call := e.AsCall()
	if !call.IsMemberFunction() || len(call.Args()) != 1 {
		return
	}
	of, with := c.texts(call.Target(), s), c.texts(call.Args()[0], s)
	holds := textPredicates[call.FunctionName()]
	switch {
	case of.closed() && !with.any && with.set == nil:
	case with.closed() && !of.any && of.set == nil:
	default:
		return
	}
	for _, a := range of.all() {
		if slices.ContainsFunc(with.all(), func(b string) bool { return holds(a, b) }) {
			return
		}
	}
	set := of.set
	if set == nil {
		set = with.set
	}
	c.doubts = append(c.doubts, fmt.Sprintf("%s is never true: %s is %s", c.source(e), c.source(firstShown(of, with)), set.list()))
}

func firstShown(list ...texts) ast.Expr {
	for _, t := range list {
		if t.shown != nil {
			return t.shown
		}
	}
	return nil
}

var textPredicates = map[string]func(a, b string) bool{ //nolint:gochecknoglobals // a constant table
	"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains,
	"matches": func(text, pattern string) bool {
		re, err := regexp.Compile(pattern)
		return err != nil || re.MatchString(text)
	},
}
