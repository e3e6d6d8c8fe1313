package middleware

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/playback"
)

// Causes say in the log what a refusal does not tell its client. What a client
// sent is quoted and cut, and left out where it may be a credential.

// undecided says why no environment is meant.
func (x *Exchange) undecided() error {
	return fmt.Errorf("the host %.100q is none of an environment's hosts, no credential was sent, and there are %s",
		x.Authority, playback.Count(len(x.Snapshot.environments), "environment", "environments"))
}

// missing says where a credential was looked for.
func (x *Exchange) missing() error {
	e := x.Environment
	places := []string{"Authorization"}
	if e.ViewerQuery != "" && x.Endpoint.ViewerQuery {
		places = append(places, fmt.Sprintf("the query parameter %q", e.ViewerQuery))
	}
	if e.ViewerCookie != "" {
		places = append(places, fmt.Sprintf("the cookie %q", e.ViewerCookie))
	}
	why := "is not anonymous"
	if x.Endpoint.Backend {
		why = "lets only backends do this"
	}
	return fmt.Errorf("environment %s %s, and there is no credential in %s", e.ID, why, strings.Join(places, ", "))
}

// misplaced says where a viewer token was found, and where its environment reads
// one.
func (c *credential) misplaced() error {
	if c.carrier == queryCarrier {
		return fmt.Errorf("it came in the query parameter %q; viewer_query of environment %s is %q", c.name, c.owner.ID, c.owner.ViewerQuery)
	}
	return fmt.Errorf("it came in the cookie %q; viewer_cookie of environment %s is %q", c.name, c.owner.ID, c.owner.ViewerCookie)
}

// unknownScheme says what an Authorization header is that is neither Bearer nor
// Basic. All of it may be a credential.
func unknownScheme(scheme, text string) error {
	known := func(schemes ...string) bool {
		return slices.ContainsFunc(schemes, func(s string) bool { return strings.EqualFold(s, scheme) })
	}
	switch {
	case known("Bearer", "Basic"):
		return fmt.Errorf("nothing stands behind %s", scheme)
	case known("Digest", "DPoP", "JWT", "Negotiate", "OAuth", "Token"):
		return fmt.Errorf("its scheme is %s", scheme)
	case strings.HasPrefix(scheme, "eyJ") && text == "":
		return fmt.Errorf("it is a JWT without %q in front", "Bearer ")
	case scheme == "":
		return fmt.Errorf("it begins with no scheme")
	}
	return fmt.Errorf("its scheme has %s", playback.Count(len(scheme), "character", "characters"))
}

// unlisted says which origin was wanted and which one came.
func (x *Exchange) unlisted(origin string) error {
	const most = 8
	listed := x.Environment.CORSOrigins
	more := ""
	if len(listed) > most {
		more = fmt.Sprintf(" and %d more", len(listed)-most)
		listed = listed[:most]
	}
	return fmt.Errorf("the Origin is %.200q; want %.200q, or one of cors_origins %q%s", origin, x.ownOrigin(), listed, more)
}

// ownOrigin returns the origin of the request's own URL.
func (x *Exchange) ownOrigin() string {
	if x.Secure {
		return "https://" + x.Authority
	}
	return "http://" + x.Authority
}

// fetchSite says what the browser told of the page that asks.
func fetchSite(c *fiber.Ctx) string {
	if site := c.Get("Sec-Fetch-Site"); site != "" {
		return fmt.Sprintf("Sec-Fetch-Site is %.40q", site)
	}
	return "there is no Sec-Fetch-Site"
}
