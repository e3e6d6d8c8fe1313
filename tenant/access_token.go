package tenant

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/playgate/playgate/playback"
)

// SecretHash is the SHA-256 of an access token's secret, in the text form in
// which Basic carries it. The secret is 32 random bytes, so a plain hash is
// enough: there is nothing to guess. It redacts itself like a secret, because
// whoever has a hash can at least recognize a leaked secret.
type SecretHash [sha256.Size]byte

// HashSecret returns the hash of a secret's text.
func HashSecret(secret string) SecretHash { return sha256.Sum256([]byte(secret)) }

var errSecretHash = errors.New("want the SHA-256 of the secret as 64 hexadecimal digits")

// ParseSecretHash reads 64 hexadecimal digits. The error does not repeat the
// text: someone may have put the secret itself there.
func ParseSecretHash(text string) (SecretHash, error) {
	var h SecretHash
	if len(text) != hex.EncodedLen(len(h)) {
		return h, errSecretHash
	}
	if _, err := hex.Decode(h[:], []byte(text)); err != nil {
		return SecretHash{}, errSecretHash
	}
	return h, nil
}

// Hex returns the hash as it stands in a configuration, in lower case.
func (h SecretHash) Hex() string { return hex.EncodeToString(h[:]) }

const redacted = "[redacted]"

// String redacts.
func (SecretHash) String() string { return redacted }

// GoString redacts.
func (SecretHash) GoString() string { return redacted }

// Format redacts whatever the verb.
func (SecretHash) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue redacts.
func (SecretHash) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts, and with it JSON and YAML.
func (SecretHash) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// AccessToken is the credential of a backend. Immutable.
type AccessToken struct {
	// ID is the name half of Basic, a UUID if NewAccessToken made it.
	ID string
	// Name is for people; it may be empty and need not be unique.
	Name string
	// Environment is set by New: a token belongs to exactly one.
	Environment playback.EnvironmentID
	Permissions Permissions
	// Secret is the hash of the secret half of Basic.
	Secret SecretHash
}

// May reports whether the token has the permission.
func (t *AccessToken) May(p Permission) bool { return t.Permissions.Has(p) }

const maxAccessTokenID = 128

// ValidAccessTokenID reports whether the ID fits ^[A-Za-z0-9_-]{1,128}$. Ours
// are UUIDs; others are welcome as long as Basic can carry them, which splits
// at the first colon.
func ValidAccessTokenID(id string) bool {
	return len(id) <= maxAccessTokenID && playback.KeyID(id).Valid()
}

const secretBytes = 32

// NewAccessToken makes the two halves of a credential from a source of
// randomness (nil: crypto/rand): an ID, which is a UUID of version 4
// (RFC 9562 §5.4), and a secret of 32 bytes in base64url without padding, 43
// characters. The secret is nowhere kept.
func NewAccessToken(random io.Reader) (id string, secret playback.Secret, err error) {
	if random == nil {
		random = rand.Reader
	}
	var b [16 + secretBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", playback.Secret{}, fmt.Errorf("drawing an access token: %w", err)
	}
	u := b[:16]
	u[6] = u[6]&0x0f | 0x40 // version 4
	u[8] = u[8]&0x3f | 0x80 // variant of RFC 9562
	id = fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	return id, playback.NewSecret(base64.RawURLEncoding.EncodeToString(b[16:])), nil
}

// Authenticate returns the access token with the ID if the secret is its own.
// Whatever the ID, it costs one SHA-256 of the secret and one comparison in
// constant time.
func (d *Directory) Authenticate(id, secret string) (*AccessToken, bool) {
	given := HashSecret(secret)
	token, known := d.tokens[id]
	if !known {
		token = &d.nobody
	}
	same := subtle.ConstantTimeCompare(given[:], token.Secret[:]) == 1
	if !known || !same {
		return nil, false
	}
	return token, true
}
