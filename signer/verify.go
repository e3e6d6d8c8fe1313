package signer

import (
	"crypto/rsa"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/playgate/playgate/playback"
)

// Reason says in one stable word why a token is not valid.
type Reason string

// The reasons, in the order in which Verify looks for them.
const (
	ReasonMalformed      Reason = "malformed"       // not three base64url parts holding a JWS header and a JSON object
	ReasonAlgorithm      Reason = "wrong_algorithm" // not RS256
	ReasonCritical       Reason = "critical_header" // a `crit` header asks for what nobody here knows
	ReasonNoKeyID        Reason = "no_kid"          // neither in the header nor as a claim
	ReasonKeyIDConflict  Reason = "kid_conflict"    // header and claim name different keys
	ReasonUnknownKey     Reason = "unknown_kid"     // no published key has the name
	ReasonSignature      Reason = "bad_signature"   // not made with that key, or changed since
	ReasonNoSubject      Reason = "no_sub"          // `sub` is absent, not a string or no ID
	ReasonAudience       Reason = "bad_aud"         // `aud` is absent, not a plain string, or not one of Mux's
	ReasonNoExpiry       Reason = "no_exp"          // `exp` is absent or not a number, which players take for expired
	ReasonExpired        Reason = "expired"
	ReasonNotYetValid    Reason = "not_yet_valid"   // `nbf` lies in the future
	ReasonDuplicateClaim Reason = "duplicate_claim" // which of the two counts depends on who reads it
)

// Verdict is what Verify found.
type Verdict struct {
	Valid  bool
	Reason Reason   // "" when valid
	Detail string   // one sentence for people, "" when valid
	Token  *Decoded // nil when the token is malformed
}

// Verify checks a playback token as Mux's edge would, and says what is wrong
// with it first: form, RS256, key ID in the header or as a claim, signature,
// then the claims, with exp not later than now (no leeway).
func Verify(compact string, keys PublicKeys, now time.Time) Verdict {
	token, err := Decode(compact)
	if err != nil {
		return Verdict{Reason: ReasonMalformed, Detail: err.Error()}
	}
	reason, detail := verifyKey(compact, token, keys)
	if reason == "" {
		reason, detail = verifyClaims(token, now)
	}
	return Verdict{Valid: reason == "", Reason: reason, Detail: detail, Token: token}
}

func verifyKey(compact string, token *Decoded, keys PublicKeys) (Reason, string) {
	if token.Algorithm != string(jwa.RS256) {
		return ReasonAlgorithm, "The header's alg is " + quote(token.Algorithm) + "; playback tokens are signed with RS256 only."
	}
	if token.Critical {
		return ReasonCritical, "The header has a crit member, which no playback token has."
	}
	if token.HeaderKey != "" && token.ClaimKey != "" && token.HeaderKey != token.ClaimKey {
		return ReasonKeyIDConflict, "The header names key " + quote(token.HeaderKey) + ", the claim kid " + quote(token.ClaimKey) + "."
	}
	id := token.KeyID()
	if id == "" {
		return ReasonNoKeyID, "Neither the header nor a claim has a kid that is a string, so no key can be chosen."
	}
	key, ok := keys[id]
	if !ok {
		return ReasonUnknownKey, "No key " + quote(string(id)) + " is published in this environment."
	}
	if !verifies(compact, key) {
		return ReasonSignature, "The signature is not one of key " + quote(string(id)) + " over these bytes."
	}
	return "", ""
}

// verifies reports whether key signed the token with RS256.
func verifies(compact string, key *rsa.PublicKey) bool {
	_, err := jws.Verify([]byte(compact), jws.WithCompact(), jws.WithKey(jwa.RS256, key))
	return err == nil
}

func verifyClaims(token *Decoded, now time.Time) (Reason, string) {
	if name, ok := token.duplicate(); ok {
		return ReasonDuplicateClaim, "The claim " + quote(name) + " stands there twice."
	}
	aud, ok := token.text("aud")
	if sub, isText := token.text("sub"); !isText || !validSubject(sub, aud) {
		return ReasonNoSubject, "The claim sub must be a playback ID, or the ID being counted."
	}
	if !ok {
		return ReasonAudience, "The claim aud must be a plain string such as \"v\"; an array is refused by players."
	}
	if !knownAudience(aud) {
		return ReasonAudience, "The claim aud is " + quote(aud) + ", an audience that Mux does not have."
	}
	exp, ok := token.time("exp")
	if !ok {
		return ReasonNoExpiry, "The claim exp must be a number of Unix seconds; players take a token without it for expired."
	}
	if !now.Before(exp) {
		return ReasonExpired, "The token expired at " + exp.UTC().Format(time.RFC3339) + ", " + playback.FormatDuration(now.Sub(exp)) + " ago."
	}
	if nbf, ok := token.time("nbf"); ok && now.Before(nbf) {
		return ReasonNotYetValid, "The token is not valid before " + nbf.UTC().Format(time.RFC3339) + "."
	}
	return "", ""
}

// validSubject checks the grammar of sub. Video IDs of Mux Data have their own,
// and all others that of playback IDs.
func validSubject(sub, aud string) bool {
	if aud == playback.StatsVideo.Aud() {
		return playback.VideoID(sub).Valid()
	}
	return playback.ID(sub).Valid()
}

func knownAudience(aud string) bool {
	for kind := range playback.TokenTypes {
		if kind.Aud() == aud {
			return true
		}
	}
	return false
}

// KeyID returns the key that the token names, in its header or as a claim.
func (d *Decoded) KeyID() playback.KeyID {
	if d.HeaderKey != "" {
		return playback.KeyID(d.HeaderKey)
	}
	return playback.KeyID(d.ClaimKey)
}
