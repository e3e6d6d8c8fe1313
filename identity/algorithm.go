package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // for pssHash
	_ "crypto/sha512" // for pssHash
)

// Algorithms returns the signature algorithms that an issuer may be pinned to
// (RFC 7518 §3.1 without HS* and none; RFC 8037 §3.1 with Ed25519). Where one
// is expected, Ed25519 (RFC 9864) is accepted as another name of EdDSA.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// canonical returns the name under which an algorithm is compared: RFC 9864
// §2.2 calls Ed25519 what RFC 8037 §3.1 called EdDSA, and issuers use either.
func canonical(algorithm string) string {
	if algorithm == "Ed25519" {
		return "EdDSA"
	}
	return algorithm
}

// fits reports whether the key is of the type, and for ECDSA on the very
// curve, that the algorithm demands. jwx v2 does not tie ES256 to P-256; this
// does.
func fits(algorithm string, public crypto.PublicKey) bool {
	switch algorithm {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		_, ok := public.(*rsa.PublicKey)
		return ok
	case "ES256":
		return onCurve(public, elliptic.P256())
	case "ES384":
		return onCurve(public, elliptic.P384())
	case "ES512":
		return onCurve(public, elliptic.P521())
	case "EdDSA":
		_, ok := public.(ed25519.PublicKey)
		return ok
	}
	return false
}

func onCurve(public crypto.PublicKey, curve elliptic.Curve) bool {
	key, ok := public.(*ecdsa.PublicKey)
	return ok && key.Curve == curve
}

// pssHash returns the hash of an RSASSA-PSS algorithm (RFC 7518 §3.5).
func pssHash(algorithm string) (crypto.Hash, bool) {
	switch algorithm {
	case "PS256":
		return crypto.SHA256, true
	case "PS384":
		return crypto.SHA384, true
	case "PS512":
		return crypto.SHA512, true
	}
	return 0, false
}
