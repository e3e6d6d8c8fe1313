package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxToken bounds a token in bytes; the server's header limit is the same.
const maxToken = 16 << 10

// compact is a JWS in compact serialization (RFC 7515 §7.1), taken apart but
// not believed.
type compact struct {
	signed    string // header and payload as they were signed: "header.payload"
	algorithm string
	kid       string
	hasKid    bool
	typ       string // "" if there is none
	payload   []byte
	signature []byte
}

// parseCompact takes a compact JWS apart. Nothing of raw is copied into
// signed, so the caller must own raw for as long as it keeps the result.
func parseCompact(raw string) (*compact, error) {
	if raw == "" || len(raw) > maxToken {
		return nil, fmt.Errorf("a token has 1 to %d bytes, this one %d", maxToken, len(raw))
	}
	first := strings.IndexByte(raw, '.')
	last := strings.LastIndexByte(raw, '.')
	switch dots := strings.Count(raw, "."); dots {
	case 2:
	case 4:
		return nil, errors.New("a compact JWS has three parts; this has five, so it is encrypted (RFC 7516) for somebody else")
	default:
		return nil, fmt.Errorf("a compact JWS has three parts, this has %d: is it an opaque token?", dots+1)
	}
	header, err := decodePart("header", raw[:first])
	if err != nil {
		return nil, err
	}
	c := &compact{signed: raw[:last]}
	if c.payload, err = decodePart("payload", raw[first+1:last]); err != nil {
		return nil, err
	}
	if c.signature, err = decodePart("signature", raw[last+1:]); err != nil {
		return nil, err
	}
	if len(c.signature) == 0 {
		return nil, errors.New("the signature is missing")
	}
	return c, c.readHeader(header)
}

// decodePart decodes strict base64url without padding (RFC 7515 §2). The
// alphabet is checked first because Go's decoder skips line breaks; Strict
// refuses bits set after the last byte, so that a token has one spelling only.
func decodePart(name, text string) ([]byte, error) {
	for i := range len(text) {
		if !isBase64URL(text[i]) {
			return nil, fmt.Errorf("the %s is not base64url", name)
		}
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the %s is not base64url: %w", name, err)
	}
	return data, nil
}

func isBase64URL(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// readHeader checks the JOSE header. jku, x5u, jwk and x5c would let a token
// bring its own key; crit could demand an extension (b64 among them) that
// changes what is signed. x5t and unknown members are ignored (RFC 7515 §4).
func (c *compact) readHeader(data []byte) error {
	header, err := decodeObject(data)
	if err != nil {
		return fmt.Errorf("the header: %w", err)
	}
	for _, name := range [...]string{"jku", "x5u", "jwk", "x5c", "crit"} {
		if _, ok := header[name]; ok {
			return fmt.Errorf("the header has %s", name)
		}
	}
	algorithm, ok := header["alg"].(string)
	algorithm = canonical(algorithm)
	if !ok || !slices.Contains(Algorithms(), algorithm) {
		return fmt.Errorf("the header's alg is not supported: %.40q", fmt.Sprint(header["alg"]))
	}
	if typ, ok := header["typ"]; ok {
		if c.typ, ok = typ.(string); !ok {
			return errors.New("the header's typ is not a string")
		}
	}
	if kid, ok := header["kid"]; ok {
		if c.kid, c.hasKid = kid.(string); !c.hasKid {
			return errors.New("the header's kid is not a string")
		}
	}
	c.algorithm = algorithm
	return nil
}
