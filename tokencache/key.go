package tokencache

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/playgate/playgate/playback"
)

// Key identifies a token by everything that decides its bytes.
type Key [sha256.Size]byte

// What KeyOf writes without going to the heap. Nearly all claims fit the
// first; the second holds the longest that contract §0 and §5 allow (an
// environment of 63 bytes, key ID of 128, subject of 255, restriction ID of
// 255, custom claims of 1024, and every parameter of a type).
const (
	typicalClaims = 768
	largestClaims = 4096
)

// KeyOf returns the key of the claims: the SHA-256 over every field, each with
// its length before it, so that no two different claims have one encoding. It
// is an authorization boundary: one key for two claims would hand one viewer's
// token to another. Allocates nothing.
func KeyOf(c *playback.Claims) Key {
	if encodedLen(c) <= typicalClaims {
		return smallKey(c)
	}
	return largeKey(c)
}

// The two differ in how much stack is cleared; inlined, both would clear all.
//
//go:noinline
func smallKey(c *playback.Claims) Key {
	var room [typicalClaims]byte
	return sha256.Sum256(appendClaims(room[:0], c))
}

//go:noinline
func largeKey(c *playback.Claims) Key {
	var room [largestClaims]byte
	return sha256.Sum256(appendClaims(room[:0], c))
}

func appendClaims(b []byte, c *playback.Claims) []byte {
	b = appendText(b, string(c.Environment))
	b = appendText(b, string(c.Key))
	b = append(b, c.Thumbprint[:]...) // its length is fixed
	b = appendText(b, string(c.Kid))
	b = appendText(b, c.Sub)
	b = appendText(b, c.Aud)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Params))) //nolint:gosec // a type has a dozen parameters
	for _, p := range c.Params {
		b = appendText(b, p.Name)
		b = appendText(b, p.JSON)
	}
	b = appendText(b, string(c.Restriction))
	b = appendText(b, c.Custom)
	return binary.BigEndian.AppendUint64(b, uint64(c.Exp)) //nolint:gosec // two's complement is as unique
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // nothing here is 4 GiB long
	return append(b, s...)
}

// encodedLen returns what appendClaims will write, in bytes.
func encodedLen(c *playback.Claims) int {
	const prefix = 4
	n := len(c.Environment) + len(c.Key) + len(c.Kid) + len(c.Sub) + len(c.Aud) + len(c.Restriction) + len(c.Custom)
	n += 8*prefix + len(c.Thumbprint) + 8
	for i := range c.Params {
		n += 2*prefix + len(c.Params[i].Name) + len(c.Params[i].JSON)
	}
	return n
}
