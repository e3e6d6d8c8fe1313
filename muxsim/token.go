package muxsim

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// maxToken bounds the compact form; a URL with a longer one would not fit the
// header limits of most servers.
const maxToken = 8 << 10

// token is a compact JWT, decoded but not yet believed.
type token struct {
	kid       KeyID
	claims    map[string]json.RawMessage
	signed    string // header.payload
	signature []byte
}

// parseToken decodes a compact JWT as strictly as it can.
func parseToken(compact string) (*token, *refusal) {
	header, t, why := parseSigned(compact)
	if why != nil {
		return nil, why
	}
	_, payload, _ := strings.Cut(t.signed, ".")
	claims, err := decodePart(payload)
	if err != nil {
		return nil, refuse(TokenMalformed, "The token's payload is unreadable: %v.", err)
	}
	t.claims = claims
	if t.kid, why = kidOf(header, claims); why != nil {
		return nil, why
	}
	return t, nil
}

// parseSigned decodes a compact JWS (RFC 7515 §3.1) without looking into its
// payload: unpadded base64url, a header without repeated members, RS256 only.
func parseSigned(compact string) (map[string]json.RawMessage, *token, *refusal) {
	if len(compact) > maxToken {
		return nil, nil, refuse(TokenMalformed, "The token is longer than %d bytes.", maxToken)
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, nil, refuse(TokenMalformed, "The token does not have three parts.")
	}
	header, err := decodePart(parts[0])
	if err != nil {
		return nil, nil, refuse(TokenMalformed, "The token's header is unreadable: %v.", err)
	}
	signature, err := decodeBase64(parts[2])
	if err != nil {
		return nil, nil, refuse(TokenMalformed, "The token's signature is unreadable: %v.", err)
	}
	return header, &token{signed: parts[0] + "." + parts[1], signature: signature}, checkHeader(header)
}

func checkHeader(header map[string]json.RawMessage) *refusal {
	if alg, ok := stringMember(header, "alg"); !ok || alg != "RS256" {
		return refuse(WrongAlgorithm, "The token's alg is not RS256.")
	}
	if _, ok := header["crit"]; ok { // RFC 7515 §4.1.11: what is not understood must not be accepted
		return refuse(TokenMalformed, "The token's header has crit.")
	}
	if typ, ok := header["typ"]; ok && !strings.EqualFold(string(typ), `"JWT"`) {
		return refuse(TokenMalformed, "The token's typ is not JWT.")
	}
	return nil
}

// kidOf reads kid from the header or the claims (mux.md §1.1). Both at once is
// UNVERIFIED at Mux; here they must agree.
func kidOf(header, claims map[string]json.RawMessage) (KeyID, *refusal) {
	var kid string
	for _, part := range []map[string]json.RawMessage{header, claims} {
		if _, ok := part["kid"]; !ok {
			continue
		}
		text, ok := stringMember(part, "kid")
		if !ok || text == "" || kid != "" && kid != text {
			return "", refuse(TokenMalformed, "The token's kid is not one string.")
		}
		kid = text
	}
	if kid == "" {
		return "", refuse(KidMissing, "The token has no kid, neither in the header nor as a claim.")
	}
	return KeyID(kid), nil
}

// verifiedBy reports whether the key made the signature (RFC 7518 §3.3).
func (t *token) verifiedBy(key *rsa.PublicKey) bool {
	sum := sha256.Sum256([]byte(t.signed))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], t.signature) == nil
}

func decodePart(part string) (map[string]json.RawMessage, error) {
	raw, err := decodeBase64(part)
	if err != nil {
		return nil, err
	}
	return decodeObject(raw)
}

func decodeBase64(part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") { // encoding/base64 skips them
		return nil, errors.New("line break in base64url")
	}
	return base64.RawURLEncoding.Strict().DecodeString(part)
}

// decodeObject reads one JSON object without repeated members: two readers of
// a repeated member may believe two different values.
func decodeObject(raw []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	members := map[string]json.RawMessage{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, errors.New("not a JSON object")
		}
		key, _ := name.(string) // a member's name is always a string
		if _, ok := members[key]; ok {
			return nil, errors.New("repeated member")
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errors.New("not a JSON object")
		}
		members[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("bytes after the object")
	}
	return members, nil
}

// stringMember returns a member that is a JSON string.
func stringMember(members map[string]json.RawMessage, name string) (string, bool) {
	raw, ok := members[name]
	if !ok || len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}
