package middleware

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
)

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 64
)

// RequestID names the exchange and says so in the answer. A well-formed
// X-Request-Id is taken over, so that a trace can begin at a proxy; anything
// else is replaced, so that logs and headers stay clean.
func RequestID(c *fiber.Ctx, x *Exchange) {
	x.Name(utils.UnsafeString(c.Request().Header.PeekCanonical([]byte(headerRequestID))))
	c.Response().Header.SetCanonical([]byte(headerRequestID), utils.UnsafeBytes(x.ID))
}

// Name gives the exchange the request ID that was sent if it is well formed,
// else 128 random bits in hexadecimal. The ID lives in the exchange itself.
func (x *Exchange) Name(sent string) {
	if wellFormed(sent) {
		x.ID = utils.UnsafeString(append(x.id[:0], sent...))
		return
	}
	var raw [16]byte
	binary.NativeEndian.PutUint64(raw[:8], rand.Uint64()) //nolint:gosec // an ID must be unique, not unguessable
	binary.NativeEndian.PutUint64(raw[8:], rand.Uint64()) //nolint:gosec // the same
	x.ID = utils.UnsafeString(hex.AppendEncode(x.id[:0], raw[:]))
}

func wellFormed(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
