package signer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/playgate/playgate/playback"
)

// maxCompact bounds what is read of a token, in bytes: more than fits into
// any header or URL.
const maxCompact = 16 << 10

// Decoded is what a token says, believed or not: nothing in it was verified.
type Decoded struct {
	Algorithm string // the header's alg
	Type      string // the header's typ, "" absent
	HeaderKey string // the header's kid, "" absent
	ClaimKey  string // the claim kid, "" absent or not a string
	Critical  bool   // the header has crit
	Header    json.RawMessage
	Claims    []Claim // in the token's own order
}

// Claim is one claim as it stands in the token.
type Claim struct {
	Name  string
	Value json.RawMessage
}

// Decode reads a compact JWT without verifying it, for `token inspect`. The
// error says which part is malformed; it never quotes the token.
func Decode(compact string) (*Decoded, error) {
	if len(compact) > maxCompact {
		return nil, fmt.Errorf("the token is longer than %d bytes", maxCompact)
	}
	parts := strings.Split(compact, ".")
	switch {
	case compact == "":
		return nil, errors.New("the token is empty")
	case len(parts) == 5: // RFC 7516 §3
		return nil, errors.New("the token has 5 parts: it is encrypted (JWE), and Mux's tokens are only signed, with 3 parts")
	case len(parts) != 3:
		return nil, fmt.Errorf("the token has %s, want 3 with dots between them", playback.Count(len(parts), "part", "parts"))
	}
	var raw [3][]byte
	for i, name := range [...]string{"header", "payload", "signature"} {
		part, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil || strings.ContainsAny(parts[i], "\r\n") { // which encoding/base64 skips
			return nil, fmt.Errorf("the %s is not base64url: %s", name, notBase64URL(parts[i]))
		}
		raw[i] = part
	}
	d := &Decoded{Header: raw[0]}
	if err := d.readHeader(compact); err != nil {
		return nil, err
	}
	claims, err := members(raw[1])
	if err != nil {
		return nil, fmt.Errorf("the payload %w", err)
	}
	d.Claims = claims
	d.ClaimKey, _ = d.text("kid")
	return d, nil
}

// notBase64URL says what keeps a part from being base64url without padding (RFC
// 7515 §2). Of the part it names one foreign character at most.
func notBase64URL(part string) string {
	at := 0
	for _, r := range part {
		at++
		switch {
		case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			continue
		case r == '=':
			return fmt.Sprintf("it has padding (=) at its character %d; remove it", at)
		case r == '+', r == '/':
			return fmt.Sprintf("it has %q at its character %d, which is of the standard alphabet; base64url has - for + and _ for /", r, at)
		case r == '\n', r == '\r':
			return fmt.Sprintf("it has a line end at its character %d; give the token as one line", at)
		case unicode.IsSpace(r):
			return fmt.Sprintf("it has a blank at its character %d; remove it", at)
		}
		return fmt.Sprintf("it has %q at its character %d, which no token has", r, at)
	}
	switch {
	case part == "":
		return "it is empty"
	case len(part)%4 == 1:
		return fmt.Sprintf("none is %d characters long; a part of the token is missing", len(part))
	}
	return "its last character cannot end it; the token was changed or cut off"
}

func (d *Decoded) readHeader(compact string) error {
	header, err := members(d.Header)
	if err != nil {
		return fmt.Errorf("the header %w", err)
	}
	if name, twice := duplicate(header); twice {
		return fmt.Errorf("the header has %s twice", quote(name))
	}
	message, err := jws.ParseString(compact)
	if err != nil || len(message.Signatures()) != 1 {
		return errors.New("the header is not one of a JWS")
	}
	protected := message.Signatures()[0].ProtectedHeaders()
	d.Algorithm = protected.Algorithm().String()
	d.Type = protected.Type()
	d.HeaderKey = protected.KeyID()
	for _, member := range header {
		d.Critical = d.Critical || member.Name == "crit"
	}
	return nil
}

// members reads one JSON object and keeps the order of its members.
func members(document []byte) ([]Claim, error) {
	if !utf8.Valid(document) {
		return nil, errors.New("is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(document))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	var out []Claim
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errors.New("is not valid JSON")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New("is not valid JSON")
		}
		text, _ := name.(string) // a member's name is one, or dec.Token had failed
		out = append(out, Claim{text, value})
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("is not valid JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has text after its JSON object")
	}
	return out, nil
}

// Claim returns the value of a claim as JSON, and whether it is there.
func (d *Decoded) Claim(name string) (json.RawMessage, bool) {
	for _, c := range d.Claims {
		if c.Name == name {
			return c.Value, true
		}
	}
	return nil, false
}

func (d *Decoded) duplicate() (string, bool) { return duplicate(d.Claims) }

func duplicate(claims []Claim) (string, bool) {
	seen := make(map[string]struct{}, len(claims))
	for _, c := range claims {
		if _, ok := seen[c.Name]; ok {
			return c.Name, true
		}
		seen[c.Name] = struct{}{}
	}
	return "", false
}

func (d *Decoded) text(name string) (string, bool) {
	value, ok := d.Claim(name)
	if !ok || len(value) == 0 || value[0] != '"' {
		return "", false
	}
	var text string
	err := json.Unmarshal(value, &text)
	return text, err == nil
}

// time reads a NumericDate (RFC 7519 §2): seconds, possibly with a fraction.
func (d *Decoded) time(name string) (time.Time, bool) {
	value, ok := d.Claim(name)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil || seconds < 0 || seconds >= 1<<53 { // JSON has no infinities; a string does not parse
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// quote shortens what a stranger wrote, for a message.
func quote(s string) string {
	if len(s) > 140 {
		s = s[:140] + "…"
	}
	return strconv.Quote(s)
}
