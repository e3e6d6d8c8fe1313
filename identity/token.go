package identity

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/playgate/playgate/playback"
)

const (
	// leeway is how far the issuer's clock and ours may differ for exp, nbf
	// and iat (contract §3).
	leeway = 30 * time.Second
	// maxSubject is the longest sub, in characters.
	maxSubject = 255
	// maxDate is the latest NumericDate: 9999-12-31T23:59:59Z. Beyond it
	// arithmetic on times would overflow.
	maxDate = 253402300799
)

// Claim is what a viewer token says of itself, unverified: good for choosing
// the environment, for nothing else.
type Claim struct {
	Issuer     string               // iss, never empty
	Recipients []playback.Recipient // whom it is for: aud, in a token without it client_id and azp; nil: it does not say

	token *token // the rest, for Verify; nil in a Claim that Inspect did not make
}

// token is a viewer token whose form is right and whose truth is unknown.
type token struct {
	*compact
	raw        string // own copy
	issuer     string
	recipients []playback.Recipient
	subject    string
	expires    time.Time
	notBefore  time.Time // zero: absent
	issuedAt   time.Time // zero: absent
	claims     map[string]any
}

// Inspect reads a token without verifying it. It refuses, with
// invalid_credentials, everything that no key and no clock could make right:
// see the package's promises. The Claim keeps nothing of raw's memory.
func (v *Verifier) Inspect(raw string) (Claim, error) {
	if len(raw) > maxToken { // before it is copied
		return Claim{}, v.metrics.refused(invalid(fmt.Errorf("a token of %d bytes", len(raw))))
	}
	t, err := parseToken(strings.Clone(raw))
	if err != nil {
		return Claim{}, v.metrics.refused(invalid(err))
	}
	return Claim{Issuer: t.issuer, Recipients: slices.Clone(t.recipients), token: t}, nil
}

func invalid(cause error) *playback.Error {
	return playback.Errorf(playback.CodeInvalidCredentials, "The viewer token is not valid.").Because(cause)
}

func expired(cause error) *playback.Error {
	return playback.Errorf(playback.CodeExpiredCredentials, "The viewer token has expired.").Because(cause)
}

func unavailable(wait time.Duration, cause error) *playback.Error {
	return playback.Errorf(playback.CodeIssuerUnavailable, "The issuer's keys are not available; try again later.").
		After(wait).Because(cause)
}

func parseToken(raw string) (*token, error) {
	c, err := parseCompact(raw)
	if err != nil {
		return nil, err
	}
	t := &token{compact: c, raw: raw}
	if t.claims, err = decodeObject(c.payload); err != nil {
		return nil, fmt.Errorf("the claims: %w", err)
	}
	c.payload = nil // decoded: a Claim need not hold both
	if t.issuer, err = text(t.claims, "iss"); err != nil {
		return nil, err
	}
	if t.recipients, err = recipients(t.claims); err != nil {
		return nil, err
	}
	if t.subject, err = text(t.claims, "sub"); err != nil {
		return nil, err
	}
	if err := checkSubject(t.subject); err != nil {
		return nil, err
	}
	return t, t.readDates()
}

func text(claims map[string]any, name string) (string, error) {
	s, ok := claims[name].(string)
	if !ok || s == "" {
		return "", fmt.Errorf("%s is missing, empty or not a string", name)
	}
	return s, nil
}

// recipients reads whom a token is for. Tokens that OAuth 2.0 servers hand to
// clients without naming an audience have the client's ID instead: client_id
// (RFC 8693 §4.3) or azp (OpenID Connect Core §2). Beside an aud these say only
// who asked for the token, so they do not count.
func recipients(claims map[string]any) ([]playback.Recipient, error) {
	audience, err := audience(claims["aud"])
	if err != nil {
		return nil, err
	}
	var all []playback.Recipient
	for _, value := range audience {
		all = append(all, playback.Recipient{Claim: playback.RecipientAudience, Value: value})
	}
	if len(all) > 0 {
		return all, nil
	}
	for _, claim := range []playback.RecipientClaim{playback.RecipientClientID, playback.RecipientAuthorizedParty} {
		if value, ok := claims[string(claim)].(string); ok && value != "" {
			all = append(all, playback.Recipient{Claim: claim, Value: value})
		}
	}
	return all, nil
}

// audience reads aud: a string or an array of strings (RFC 7519 §4.1.3). Null
// and an empty array, which some servers write, name nobody: aud is absent.
func audience(value any) ([]string, error) {
	switch aud := value.(type) {
	case nil:
		return nil, nil
	case string:
		if aud != "" {
			return []string{aud}, nil
		}
	case []any:
		all := make([]string, 0, len(aud))
		for _, one := range aud {
			s, ok := one.(string)
			if !ok {
				return nil, errors.New("aud holds something else than strings")
			}
			all = append(all, s)
		}
		return all, nil
	}
	return nil, errors.New("aud is empty or not a string")
}

// checkSubject keeps what becomes viewer.id printable: it ends up in rules,
// limits and audit records.
func checkSubject(sub string) error {
	if utf8.RuneCountInString(sub) > maxSubject {
		return fmt.Errorf("sub is longer than %d characters", maxSubject)
	}
	if strings.ContainsFunc(sub, unicode.IsControl) {
		return errors.New("sub has a control character")
	}
	return nil
}

func (t *token) readDates() error {
	var err error
	if _, ok := t.claims["exp"]; !ok {
		return errors.New("exp is missing")
	}
	if t.expires, err = date(t.claims, "exp"); err != nil {
		return err
	}
	if t.notBefore, err = date(t.claims, "nbf"); err != nil {
		return err
	}
	t.issuedAt, err = date(t.claims, "iat")
	return err
}

// date reads a NumericDate (RFC 7519 §2), which may have a fraction. Absent is
// the zero time; null is not absent.
func date(claims map[string]any, name string) (time.Time, error) {
	value, ok := claims[name]
	if !ok {
		return time.Time{}, nil
	}
	seconds, ok := value.(float64)
	if !ok {
		return time.Time{}, fmt.Errorf("%s is not a number", name)
	}
	if !(seconds >= 0 && seconds <= maxDate) {
		return time.Time{}, fmt.Errorf("%s is out of range", name)
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), nil
}

// check compares the dates with the clock. Call it only once the signature is
// known to be good: it tells an expired token from an invalid one.
func (t *token) check(now time.Time, issuer *trusted) *playback.Error {
	start := now
	if !t.issuedAt.IsZero() {
		start = t.issuedAt
	}
	switch {
	case t.issuedAt.After(now.Add(issuer.IATLeeway)):
		// Otherwise a date in the future would stretch max_lifetime.
		return invalid(fmt.Errorf("iat is %s in the future, more than iat_leeway, %s", ahead(t.issuedAt, now), playback.FormatDuration(issuer.IATLeeway)))
	case t.notBefore.After(now.Add(leeway)):
		return invalid(fmt.Errorf("nbf is %s in the future", ahead(t.notBefore, now)))
	case t.expires.Sub(start) > issuer.MaxLifetime:
		return invalid(fmt.Errorf("the token lives longer than the issuer's max_lifetime, %s", playback.FormatDuration(issuer.MaxLifetime)))
	case !now.Before(t.expires.Add(leeway)):
		return expired(fmt.Errorf("exp was %s", t.expires.UTC().Format(time.RFC3339)))
	}
	return nil
}

// ahead words how far a date is ahead of the clock; time.Duration caps it at
// 292 years.
func ahead(date, now time.Time) string {
	return playback.FormatDuration(date.Sub(now).Round(time.Second))
}

// mayStand reports whether the dates would pass now. It is asked before an
// unknown key is looked for: no refresh for a token that fails anyway.
func (t *token) mayStand(now time.Time, issuer *trusted) bool {
	return t.check(now, issuer) == nil
}
