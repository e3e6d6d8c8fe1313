package middleware

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 64
)

// RequestIDConfig is what RequestID needs.
type RequestIDConfig struct {
	Now func() time.Time
	// Open fills in Snapshot, and what the server keeps beside it. It is called
	// once per request.
	Open func(x *Exchange)
}

// RequestID is the outermost adapter: it opens the Exchange, gives it the
// clock's time and the snapshot that is used until the answer, and names it.
// A well-formed X-Request-Id is taken over, so that a trace can begin at a
// proxy; anything else is replaced, so that logs and headers stay clean.
func RequestID(cfg RequestIDConfig) fiber.Handler {
	return func(c *fiber.Ctx) error {
		x := acquire(c)
		defer release(c, x)
		x.Started = cfg.Now()
		cfg.Open(x)
		x.ID = requestID(c)
		c.Response().Header.Set(headerRequestID, x.ID)
		return c.Next()
	}
}

func requestID(c *fiber.Ctx) string {
	if id := c.Get(headerRequestID); wellFormed(id) {
		return strings.Clone(id)
	}
	return NewRequestID()
}

// NewRequestID returns 128 random bits in hexadecimal.
func NewRequestID() string {
	var raw [16]byte
	for i := 0; i < len(raw); i += 8 {
		n := rand.Uint64() //nolint:gosec // an ID must be unique, not unguessable
		for j := range 8 {
			raw[i+j] = byte(n >> (8 * j)) //nolint:gosec // taking the low byte is the point
		}
	}
	var text [2 * len(raw)]byte
	hex.Encode(text[:], raw[:])
	return string(text[:])
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
