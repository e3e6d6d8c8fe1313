package configs

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

// Viewer configures one issuer of viewer tokens.
type Viewer struct {
	Issuer        string         `yaml:"issuer" required:"true" doc:"The token's iss, exactly."`
	Alias         string         `yaml:"alias" shown:"main" doc:"viewer.issuer in rules; must be given, and be unique, when there are two."`
	Audience      string         `yaml:"audience" shown:"playgate" doc:"Must be in the token's aud. Exactly one of audience, audiences and client_id_claim is in force; without the two others it is this, and its default."`
	Audiences     []string       `yaml:"audiences" doc:"Instead of audience: one of them must be in the token's aud."`
	ClientIDClaim *ClientIDClaim `yaml:"client_id_claim" shown:"{}" doc:"Instead of audience, for issuers whose tokens have no aud: the client that the token was issued to. A token with an aud is refused."`
	JWKSURL       string         `yaml:"jwks_url" default:"" doc:"Where the issuer publishes its keys: https, or http on loopback."`
	JWKSFile      Path           `yaml:"jwks_file" default:"" doc:"File with the keys, instead of jwks_url."`
	CAFile        Path           `yaml:"ca_file" default:"" doc:"PEM file of the CAs that the certificate at jwks_url is checked with, instead of the system's."`
	Algorithms    []string       `yaml:"algorithms" required:"true" enum:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA,Ed25519" doc:"The only signature algorithms that are accepted. Ed25519 and EdDSA are one."`
	Types         []string       `yaml:"typ" doc:"The only values of the header's typ that are accepted, such as at+jwt (RFC 9068); empty: any, and none. Case and a leading application/ do not count."`
	MaxLifetime   time.Duration  `yaml:"max_lifetime" default:"24h" doc:"Longest exp − iat that is accepted."`
	IATLeeway     time.Duration  `yaml:"iat_leeway" default:"30s" doc:"How far iat may lie in the future, for an issuer whose clock is ahead; at most 10m. exp and nbf have 30 seconds."`
	CAs           string         // what ca_file holds
}

// ClientIDClaim says which clients' tokens are accepted where tokens have no
// aud.
type ClientIDClaim struct {
	Name   playback.RecipientClaim `yaml:"name" required:"true" enum:"client_id,azp" doc:"The claim: client_id (RFC 8693 §4.3, as in Cognito's access tokens) or azp (OpenID Connect, as in Clerk's session tokens)."`
	Values []string                `yaml:"values" required:"true" doc:"The claim must be a string that is one of them."`
}

// Recipients returns whom a token must be for.
func (v *Viewer) Recipients() []playback.Recipient {
	claim, values := playback.RecipientAudience, v.Audiences
	switch {
	case v.ClientIDClaim != nil:
		claim, values = v.ClientIDClaim.Name, v.ClientIDClaim.Values
	case v.Audience != "":
		values = []string{v.Audience}
	}
	out := make([]playback.Recipient, 0, len(values))
	for _, value := range values {
		out = append(out, playback.Recipient{Claim: claim, Value: value})
	}
	return out
}

// maxIATLeeway is more than any clock is wrong that is set at all.
const maxIATLeeway = 10 * time.Minute

func (l *loader) checkViewers(path string, viewers []Viewer) {
	aliases := map[string]int{}
	for i := range viewers {
		v := &viewers[i]
		at := fmt.Sprintf("%s[%d]", path, i)
		l.checkIssuer(at+".issuer", v.Issuer)
		l.checkKeys(at, v)
		l.checkRecipients(at, v)
		if len(v.Algorithms) == 0 {
			l.report.add(at+".algorithms", "want at least one")
		}
		l.checkDistinct(at+".typ", v.Types)
		if v.IATLeeway > maxIATLeeway {
			l.report.add(at+".iat_leeway", "%s is longer than %s", playback.FormatDuration(v.IATLeeway), playback.FormatDuration(maxIATLeeway))
		}
		if v.Alias == "" && len(viewers) == 1 {
			v.Alias = "main"
		}
		first, taken := aliases[v.Alias]
		switch {
		case v.Alias == "":
			l.report.add(at+".alias", "is required when there are two viewers")
		case taken:
			l.report.add(at+".alias", "%q is already %s[%d].alias", clipped(v.Alias), path, first)
		default:
			aliases[v.Alias] = i
		}
	}
}

// placeholders are what documentation and discovery documents put around the
// parts that a reader is to fill in. No URI has one of them (RFC 3986 §2).
const placeholders = "{}<>"

// checkIssuer refuses an issuer that no token can have.
func (l *loader) checkIssuer(path, issuer string) {
	switch {
	case issuer != strings.TrimSpace(issuer):
		l.report.add(path, "%q has white space around it; iss is compared exactly", clipped(issuer))
	case isTenantless(issuer):
		l.report.add(path, "%q is no token's iss: Microsoft Entra puts the ID of the viewer's tenant in place of {tenantid}, common, organizations or consumers. "+
			"Write an entry for each tenant that you trust, with its ID in issuer and an alias of its own, because sub is unique within a tenant only", clipped(issuer))
	case strings.ContainsAny(issuer, placeholders):
		l.report.add(path, "%q has a placeholder; iss is compared exactly, so want what the tokens have in its place", clipped(issuer))
	}
}

// isTenantless reports whether an issuer is what Microsoft Entra's discovery
// documents say where they are not those of one tenant.
func isTenantless(issuer string) bool {
	issuer = strings.ToLower(issuer)
	if strings.Contains(issuer, "{tenantid}") {
		return true
	}
	_, rest, _ := strings.Cut(issuer, "://")
	host, path, _ := strings.Cut(rest, "/")
	tenant, _, _ := strings.Cut(path, "/")
	return slices.Contains([]string{"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn", "sts.windows.net"}, host) &&
		(slices.Contains([]string{"common", "organizations", "consumers"}, tenant) || strings.ContainsAny(tenant, placeholders))
}

// checkRecipients checks that exactly one of audience, audiences and
// client_id_claim says whom tokens must be for, and completes it.
func (l *loader) checkRecipients(path string, v *Viewer) {
	const wanted = "exactly one of audience, audiences and client_id_claim"
	first := ""
	for _, member := range []struct {
		name   string
		given  bool
		values []string
	}{
		{"audience", v.Audience != "", nil},
		{"audiences", len(v.Audiences) > 0, v.Audiences},
		{"client_id_claim", v.ClientIDClaim != nil, v.clientIDs()},
	} {
		at := path + "." + member.name
		switch {
		case !member.given && !l.report.hasFailed(at):
			continue
		case first != "":
			l.report.add(at, "is given besides %s; want %s", first, wanted)
		default:
			first = member.name
		}
		if member.name == "client_id_claim" {
			at += ".values"
			if len(member.values) == 0 {
				l.report.add(at, "want at least one")
			}
		}
		l.checkDistinct(at, member.values)
	}
	switch at := path + ".audience"; {
	case first != "":
	case l.report.given(at):
		l.report.add(at, "must not be empty: a token that is meant for others would do")
	case l.report.given(path + ".audiences"):
		l.report.add(path+".audiences", "must not be empty: want %s", wanted)
	default:
		v.Audience = "playgate"
	}
}

func (v *Viewer) clientIDs() []string {
	if v.ClientIDClaim == nil {
		return nil
	}
	return v.ClientIDClaim.Values
}

// checkDistinct refuses what says nothing in a list, or says it again.
func (l *loader) checkDistinct(path string, values []string) {
	for i, value := range values {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch first := slices.Index(values, value); {
		case value == "":
			l.report.add(at, "must not be empty")
		case first < i:
			l.report.add(at, "%q is already %s[%d]", clipped(value), path, first)
		}
	}
}

// checkKeys checks where an issuer's keys come from.
func (l *loader) checkKeys(path string, v *Viewer) {
	switch {
	case v.JWKSURL != "" && v.JWKSFile != "":
		l.report.add(path+".jwks_file", "is given besides jwks_url; want one of them")
	case v.JWKSURL != "":
		l.checkJWKSURL(path+".jwks_url", v.JWKSURL)
	case v.JWKSFile != "":
		l.read(path+".jwks_file", v.JWKSFile, maxJWKS)
	case !l.report.hasFailed(path + ".jwks_file"):
		l.report.add(path+".jwks_url", "is required, or jwks_file")
	}
	if v.CAFile == "" {
		return
	}
	at := path + ".ca_file"
	if !strings.HasPrefix(v.JWKSURL, "https://") {
		l.report.add(at, "is given without a jwks_url of https://, whose certificate it would be for")
		return
	}
	text, ok := l.read(at, v.CAFile, maxJWKS)
	switch {
	case !ok:
	case !x509.NewCertPool().AppendCertsFromPEM(text):
		l.report.add(at, "%s holds no certificate in PEM", v.CAFile)
	default:
		v.CAs = string(text)
	}
}
