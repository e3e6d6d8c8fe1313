package signer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/playgate/playgate/playback"
)

// claimHeader is {"alg":"RS256","typ":"JWT"} in base64url: the header of every
// token that carries its key ID as a claim, as Mux's Node SDK 14 writes it.
const claimHeader = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9"

// kidHeader returns the base64url header that also names the key.
func kidHeader(id playback.KeyID) string {
	b := append([]byte(nil), `{"alg":"RS256","typ":"JWT","kid":`...)
	b = append(appendString(b, string(id)), '}')
	return base64.RawURLEncoding.EncodeToString(b)
}

// Encode appends the signing input of a token, header "." payload, to dst. The
// shape is exactly that of Mux's Node SDK 14 (mux.md §1.1): parameters
// in the order of their names, with custom and playback_restriction_id among
// them, then kid (unless the header alone carries it), sub, aud and exp.
//
// It is the last line before the key, so it does not trust that Params came
// through ParseParam: a reserved name, a repeated one, or a literal that is
// not one JSON scalar is an error, because it could add a claim of the
// caller's choice.
func Encode(dst []byte, c *playback.Claims) ([]byte, error) {
	header := claimHeader
	if c.Kid == playback.KidHeader || c.Kid == playback.KidBoth {
		header = kidHeader(c.Key)
	}
	return appendInput(dst, header, c)
}

func appendInput(dst []byte, header string, c *playback.Claims) ([]byte, error) {
	var room [1024]byte // most payloads fit, so most encodings allocate nothing
	payload, err := appendPayload(room[:0], c)
	if err != nil {
		return dst, err
	}
	dst = append(dst, header...)
	dst = append(dst, '.')
	return base64.RawURLEncoding.AppendEncode(dst, payload), nil
}

func appendPayload(b []byte, c *playback.Claims) ([]byte, error) {
	b = append(b, '{')
	b, err := appendFlat(b, c)
	if err != nil {
		return b, err
	}
	if c.Kid != playback.KidHeader {
		b = appendString(append(b, `"kid":`...), string(c.Key))
		b = append(b, ',')
	}
	b = appendString(append(b, `"sub":`...), c.Sub)
	b = appendString(append(b, `,"aud":`...), c.Aud)
	b = strconv.AppendInt(append(b, `,"exp":`...), c.Exp, 10)
	return append(b, '}'), nil
}

// appendFlat writes the claims that stand before the registered ones, each
// followed by a comma, in the order of their names.
func appendFlat(b []byte, c *playback.Claims) ([]byte, error) {
	if c.Custom != "" && (c.Custom[0] != '{' || !json.Valid([]byte(c.Custom))) {
		return b, fmt.Errorf("encoding claims: custom is not a JSON object")
	}
	custom, restriction := c.Custom != "", c.Restriction != ""
	previous := ""
	for _, p := range c.Params {
		switch {
		case playback.IsReservedClaim(p.Name):
			return b, fmt.Errorf("encoding claims: parameter %q is reserved", p.Name)
		case p.Name <= previous:
			return b, fmt.Errorf("encoding claims: parameter %q is empty, repeated or out of order", p.Name)
		case !isScalar(p.JSON):
			return b, fmt.Errorf("encoding claims: parameter %q is not a JSON scalar", p.Name)
		}
		previous = p.Name
		if custom && p.Name > "custom" {
			b, custom = appendCustom(b, c), false
		}
		if restriction && p.Name > "playback_restriction_id" {
			b, restriction = appendRestriction(b, c), false
		}
		b = append(appendString(b, p.Name), ':')
		b = append(append(b, p.JSON...), ',')
	}
	if custom {
		b = appendCustom(b, c)
	}
	if restriction {
		b = appendRestriction(b, c)
	}
	return b, nil
}

func appendCustom(b []byte, c *playback.Claims) []byte {
	b = append(append(b, `"custom":`...), c.Custom...)
	return append(b, ',')
}

func appendRestriction(b []byte, c *playback.Claims) []byte {
	b = appendString(append(b, `"playback_restriction_id":`...), string(c.Restriction))
	return append(b, ',')
}

// isScalar reports whether s is true, false, a number, or a string that needs
// no escaping: all that playback.Param.JSON can be.
func isScalar(s string) bool {
	if s == "true" || s == "false" {
		return true
	}
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return isPlain(s[1 : len(s)-1])
	}
	return isDecimal(s)
}

// isDecimal matches -?(0|[1-9][0-9]*)(\.[0-9]+)?, the canonical spelling of a
// number. (playback.CanonicalNumber would allocate, and this is the hot path.)
func isDecimal(s string) bool {
	whole, fraction, pointed := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	if !isDigits(whole) || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	return !pointed || isDigits(fraction)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isPlain reports whether a JSON string holds s as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendString appends s as a JSON string, escaped as JSON.stringify does:
// quotes, backslashes and control characters only. Bytes that are no UTF-8
// become U+FFFD, so that the payload is always valid JSON.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	if isPlain(s) {
		b = append(b, s...)
		return append(b, '"')
	}
	for _, r := range s {
		b = appendRune(b, r)
	}
	return append(b, '"')
}

func appendRune(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	if r < ' ' {
		return append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
	}
	return utf8.AppendRune(b, r) // ranging over s already made U+FFFD of what is no UTF-8
}
