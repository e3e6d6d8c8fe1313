package keystore

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/playgate/playgate/playback"
)

// Signer signs with a key that never comes to the gateway. Its methods may be
// called from several goroutines.
type Signer interface {
	// Public returns the public half: 2048 bits or more, the same at every call.
	Public() *rsa.PublicKey
	// Sign returns the RSASSA-PKCS1-v1_5 signatures of SHA-256 digests, in their
	// order, all or none. It ends soon after ctx does. An *UnavailableError says
	// that nobody could be asked. Whoever calls verifies what it returns.
	Sign(ctx context.Context, digests [][sha256.Size]byte) ([][]byte, error)
}

// UnavailableError says that a Signer did not answer, was not asked because it
// has not answered lately, or refused to.
type UnavailableError struct {
	RetryAfter time.Duration // when to try again; 0: unknown
	Err        error         // why
}

func (e *UnavailableError) Error() string { return fmt.Sprintf("signing elsewhere: %v", e.Err) }

func (e *UnavailableError) Unwrap() error { return e.Err }

// NewRemoteRecord makes the record of a key that a Signer signs with. origin
// says for people where it is.
func NewRemoteRecord(id playback.KeyID, origin string, remote Signer, life Life) Record {
	return Record{Key: Key{
		ID: id, State: life.State, CreatedAt: life.CreatedAt, ActivatedAt: life.ActivatedAt, RetiredAt: life.RetiredAt,
		External: life.External,
		Remote:   remote, Thumbprint: ThumbprintOf(remote.Public()), Origin: origin,
	}}
}

// Public returns the public half of the key, nil if the key has no material.
func (k *Key) Public() *rsa.PublicKey {
	switch {
	case k.Private != nil:
		return &k.Private.PublicKey
	case k.Remote != nil:
		return k.Remote.Public()
	}
	return nil
}
