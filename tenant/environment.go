package tenant

import "github.com/playgate/playgate/playback"

// Organization is a tenant: a set of environments under one owner.
type Organization struct {
	ID           playback.OrganizationID
	Name         string
	Environments []Environment
}

// Environment is the wall between two sets of keys, playback IDs, rules,
// caches and limits. What New was given is copied; what a Directory returns is
// immutable.
type Environment struct {
	ID   playback.EnvironmentID
	Name string
	// Organization and OrganizationName are set by New.
	Organization     playback.OrganizationID
	OrganizationName string
	// Hosts lead to the environment. New keeps them normalized.
	Hosts []string
	// Issuers are those whose viewer tokens it accepts.
	Issuers []IssuerRef
	// Anonymous admits a request without any credential as a viewer.
	Anonymous bool
	// ViewerCookie and ViewerQuery name where else a viewer token may be; ""
	// means nowhere.
	ViewerCookie string
	ViewerQuery  string
	// CORSOrigins are origins in the form in which browsers send them, or "*".
	CORSOrigins []string
	RateLimits  RateLimits
	// AccessTokens are the credentials of its backends.
	AccessTokens []AccessToken
}

// IssuerRef is what leads a viewer token to an environment: its iss, and whom it
// is for.
type IssuerRef struct {
	Issuer     string
	Recipients []playback.Recipient // any of them
	Alias      string               // viewer.issuer in the rules
}

// RateLimits are the limits of one environment in ulule/limiter's format
// ("120-M"); "" means none.
type RateLimits struct {
	Viewer      string
	IP          string
	AccessToken string
}

// AllowsOrigin reports whether cors_origins lists the value of an Origin
// header. Browsers send origins in one spelling (RFC 6454 §6.2), so this
// compares bytes; "*" allows every origin but the opaque "null", which any
// sandboxed frame can send.
func (e *Environment) AllowsOrigin(origin string) bool {
	for _, o := range e.CORSOrigins {
		if o == origin || o == "*" && origin != "null" {
			return origin != ""
		}
	}
	return false
}
