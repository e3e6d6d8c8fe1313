package signer

import (
	"crypto/rsa"
	"time"

	"github.com/playgate/playgate/signer/multibuffer"
)

// NewLanes returns the multi-buffer backend over another one, with a computation
// of the test's own.
func NewLanes(scalar Backend, least int, compute func(*multibuffer.Batch)) Backend {
	b := newLanes(scalar, func(batch *multibuffer.Batch) time.Duration { compute(batch); return time.Microsecond })
	b.least = least
	return b
}

// Measure opens the multi-buffer backend over another one as at start, with a
// computation of the test's own.
func Measure(scalar Backend, compute func(*multibuffer.Batch)) error {
	b := newLanes(scalar, func(batch *multibuffer.Batch) time.Duration { compute(batch); return time.Microsecond })
	return b.measure(b, clock(nil))
}

// Admit puts a key to the self-check.
func Admit(b Backend, key *rsa.PrivateKey) (Handle, error) { return admit(b, key) }
