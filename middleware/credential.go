package middleware

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// carrier is where a credential was found.
type carrier uint8

const (
	noCarrier carrier = iota
	basicCarrier
	bearerCarrier
	queryCarrier
	cookieCarrier
)

// maxBasic bounds what is decoded of Basic credentials: an ID of 128, a secret
// of 43 characters, and room.
const maxBasic = 1024

// credential is the one credential of a request that counts.
type credential struct {
	carrier carrier
	name    string // of the query parameter or cookie that carried it
	text    string // the viewer token, or Basic's base64; a view unless it was percent-decoded

	// What Inspect found.
	token    *tenant.AccessToken // Basic: the token whose secret this is
	identity *identity.Identity  // a viewer token that was verified before
	claim    identity.Claim      // any other viewer token: what it claims, unverified
	owner    *Environment        // the environment it belongs to
	refusal  *playback.Error     // what is wrong with it, answered after the address's limit
	payer    *Environment        // whose address limit the request is charged to, nil for none
}

func invalidCredentials(message string) *playback.Error {
	return playback.Errorf(playback.CodeInvalidCredentials, "%s", message)
}

// choose finds the credential that counts: the first present of Authorization,
// the environment's viewer_query and its cookie. One that is present and bad
// is refused, never passed over (contract §3).
func choose(c *fiber.Ctx, x *Exchange) credential {
	if lines := c.Request().Header.PeekAll(fiber.HeaderAuthorization); len(lines) > 0 {
		return fromAuthorization(lines)
	}
	if x.Endpoint.ViewerQuery && (c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead) {
		if cred, ok := fromQuery(c, x); ok {
			return cred
		}
	}
	cred, _ := fromCookie(c, x)
	return cred
}

func fromAuthorization(lines [][]byte) credential {
	if len(lines) > 1 {
		return credential{carrier: bearerCarrier, refusal: invalidCredentials("There are several Authorization headers.")}
	}
	scheme, text, _ := strings.Cut(utils.UnsafeString(lines[0]), " ")
	text = strings.TrimLeft(text, " ") // RFC 9110 §11.4: one or more spaces
	switch {
	case strings.EqualFold(scheme, "Bearer") && text != "":
		return credential{carrier: bearerCarrier, text: text}
	case strings.EqualFold(scheme, "Basic") && text != "":
		return credential{carrier: basicCarrier, text: text}
	}
	return credential{carrier: bearerCarrier, refusal: invalidCredentials("Authorization is neither Bearer nor Basic.").Because(unknownScheme(scheme, text))}
}

// readers calls found with each environment that could be meant, until it
// returns true: that of the host, else all, in the order of the configuration.
func (x *Exchange) readers(found func(*Environment) bool) {
	if x.Host != nil {
		found(x.Host)
		return
	}
	_ = slices.ContainsFunc(x.Snapshot.environments, found)
}

func fromQuery(c *fiber.Ctx, x *Exchange) (cred credential, present bool) {
	raw := utils.UnsafeString(c.Request().URI().QueryString())
	if raw == "" {
		return credential{}, false
	}
	x.readers(func(e *Environment) bool {
		if e.ViewerQuery == "" {
			return false
		}
		value, n, err := lookup(raw, e.ViewerQuery)
		if n == 0 {
			return false
		}
		present = true
		cred = credential{carrier: queryCarrier, name: e.ViewerQuery, text: value}
		if n > 1 || err != nil || value == "" {
			cred.refusal = invalidCredentials("The viewer token in the query is empty, repeated or badly encoded.").
				Because(fmt.Errorf("the query parameter %q stands there %s, and its first value has %s", e.ViewerQuery, playback.Count(n, "time", "times"), playback.Count(len(value), "character", "characters")))
		}
		return true
	})
	return cred, present
}

// lookup returns the value of a query parameter and how often it stands there.
func lookup(raw, name string) (value string, n int, err error) {
	q := Query{Rest: raw}
	for q.Next() {
		if q.Name != name {
			continue
		}
		if n++; n == 1 {
			value, err = q.Value, q.Err
		}
	}
	return value, n, err
}

func fromCookie(c *fiber.Ctx, x *Exchange) (cred credential, present bool) {
	if len(c.Request().Header.PeekCanonical([]byte(fiber.HeaderCookie))) == 0 {
		return credential{}, false
	}
	x.readers(func(e *Environment) bool {
		if e.ViewerCookie == "" {
			return false
		}
		n := 0
		var value []byte
		for k, v := range c.Request().Header.Cookies() {
			if string(k) == e.ViewerCookie {
				n++
				value = v
			}
		}
		if n == 0 {
			return false
		}
		present = true
		cred = credential{carrier: cookieCarrier, name: e.ViewerCookie, text: utils.UnsafeString(value)}
		if n > 1 || len(value) == 0 {
			cred.refusal = invalidCredentials("The cookie with the viewer token is empty or repeated.").
				Because(fmt.Errorf("the cookie %q stands there %s, and its last value has %s", e.ViewerCookie, playback.Count(n, "time", "times"), playback.Count(len(value), "character", "characters")))
		}
		return true
	})
	return cred, present
}

// basic splits Basic credentials (RFC 7617 §2).
func basic(text string) (id, secret string, ok bool) {
	if len(text) > maxBasic {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(utils.UnsafeString(decoded), ":")
}
