package keystore

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/playgate/playgate/playback"
)

// State is where a key stands in its life. A key is prepared (published, so
// that verifiers learn it), then active (it signs), then retired (published
// until its last token has expired).
type State string

// The states.
const (
	// Stateless is the state of a key whose source names none. Assemble turns
	// it into Active, or refuses when several keys are stateless; no key of a
	// Keyset has it.
	Stateless State = ""
	Prepared  State = "prepared"
	Active    State = "active"
	Retired   State = "retired"
)

// Key is one signing key. It is immutable: it is shared by snapshots, queues
// and caches. It redacts itself wherever it could be printed.
type Key struct {
	ID          playback.KeyID
	State       State
	CreatedAt   time.Time // zero: unknown
	ActivatedAt time.Time // zero: unknown
	RetiredAt   time.Time // zero: unknown, or not retired
	// StoredAt is when the store says that the key was put there; zero: unknown.
	// It stands in for CreatedAt where that is only shown: replicas may disagree
	// on the time of a file, so nothing is decided by it.
	StoredAt time.Time
	External bool // see Life
	// Private is validated and precomputed; Parse says what it may be. nil if
	// the key signs elsewhere.
	Private *rsa.PrivateKey
	// Remote signs where Private is nil.
	Remote Signer
	// Thumbprint identifies the material, so that two keys under one ID differ.
	Thumbprint playback.Thumbprint
	// Origin is where the key was read from, for people: a path, never secret.
	Origin string

	primes *primality // of Private; nil: they were looked at when it was made
}

// ThumbprintOf returns the SHA-256 of the public key's SubjectPublicKeyInfo.
func ThumbprintOf(public *rsa.PublicKey) playback.Thumbprint {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil { // only for types that x509 does not know
		panic("keystore: an RSA public key does not marshal: " + err.Error())
	}
	return sha256.Sum256(der)
}

// String names the key and its state, never its material.
func (k Key) String() string {
	state := k.State
	if state == Stateless {
		state = "without a state"
	}
	return fmt.Sprintf("signing key %s (%s)", k.ID, state)
}

// GoString redacts like String.
func (k Key) GoString() string { return k.String() }

// Format redacts like String, whatever the verb and flags.
func (k Key) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, k.String()) // fmt offers no way to report it
}

// LogValue redacts: ID, state, origin and the head of the thumbprint.
func (k Key) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("id", string(k.ID)),
		slog.String("state", string(k.State)),
		slog.String("thumbprint", fmt.Sprintf("%x", k.Thumbprint[:6])),
		slog.String("origin", k.Origin),
	)
}

// MarshalJSON redacts like String.
func (k Key) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

// MarshalText redacts like String, for encoders other than JSON.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// same reports whether two keys are interchangeable: equal in everything that
// any reader of a snapshot could see.
func (k *Key) same(other *Key) bool {
	return k.ID == other.ID && k.State == other.State && k.Thumbprint == other.Thumbprint &&
		k.CreatedAt.Equal(other.CreatedAt) && k.ActivatedAt.Equal(other.ActivatedAt) &&
		k.RetiredAt.Equal(other.RetiredAt) && k.StoredAt.Equal(other.StoredAt) && k.External == other.External && k.Origin == other.Origin
}

// Keyset is the keys of one environment, sorted by ID; at most one is active.
// The zero Keyset is empty. Immutable; Assemble makes it.
type Keyset struct {
	Keys []*Key
}

// Active returns the key that signs, and whether there is one.
func (s Keyset) Active() (*Key, bool) {
	for _, k := range s.Keys {
		if k.State == Active {
			return k, true
		}
	}
	return nil, false
}

// Equal reports whether both sets hold the same keys in the same states.
func (s Keyset) Equal(other Keyset) bool {
	return slices.EqualFunc(s.Keys, other.Keys, (*Key).same)
}
