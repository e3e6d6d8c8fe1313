package playback

import "log/slog"

// KidPlacement says where a token carries its signing key's ID. Mux's edge
// accepts a claim or a header (mux.md §1.1); other verifiers look in the header.
type KidPlacement string

// The placements.
const (
	KidClaim  KidPlacement = "claim" // as Mux's Node SDK 14
	KidHeader KidPlacement = "header"
	KidBoth   KidPlacement = "both"
)

// Thumbprint identifies key material: the SHA-256 of the public key in DER
// (SubjectPublicKeyInfo). Two keys under one ID have two thumbprints.
type Thumbprint [32]byte

// Claims is everything that decides a token's bytes, and nothing else. It is
// the input of the token cache's key: a field added here and forgotten there is
// an authorization hole, so tokencache tests the pair by reflection.
type Claims struct {
	Environment EnvironmentID
	Key         KeyID
	Thumbprint  Thumbprint
	Kid         KidPlacement
	Sub         string
	Aud         string
	Params      Params
	Restriction RestrictionID // "" none
	Custom      string        // canonical JSON object, "" none
	Exp         int64         // Unix seconds
}

// Token is a compact JWT. It redacts itself wherever it could be printed; only
// Reveal gives the text.
type Token struct{ compact string }

// NewToken wraps a compact JWT.
func NewToken(compact string) Token { return Token{compact} }

// Reveal returns the compact form, for the answer to whom it belongs.
func (t Token) Reveal() string { return t.compact }

// Len returns the length of the compact form in bytes.
func (t Token) Len() int { return len(t.compact) }

const redacted = "[redacted]"

// String redacts.
func (Token) String() string { return redacted }

// GoString redacts.
func (Token) GoString() string { return redacted }

// LogValue redacts.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts: answers are written from Reveal, on purpose.
func (Token) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Secret is a configured secret (an access token's secret, a Vault token). It
// redacts itself like Token.
type Secret struct{ text string }

// NewSecret wraps a secret.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the secret.
func (s Secret) Reveal() string { return s.text }

// String redacts.
func (Secret) String() string { return redacted }

// GoString redacts.
func (Secret) GoString() string { return redacted }

// LogValue redacts.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
