package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/playgate/playgate/playback"
)

const (
	minRSABits = 2048
	maxRSABits = 8192 // beyond it one verification takes milliseconds
)

// identifier tells keys apart: two with the same identifier are the same key.
type identifier struct {
	kid        string // "" none
	algorithm  string // the JWK's alg, "" none
	thumbprint playback.Thumbprint
}

// key is one public key of a key set. It is shared between consecutive sets
// that hold it, so that withdrawn can tell everyone who remembers it.
type key struct {
	identifier
	public    crypto.PublicKey
	withdrawn atomic.Bool
}

// fits reports whether the key may verify signatures of the algorithm: its
// type and curve must suit, and its own alg, if it has one, must be the same.
func (k *key) fits(algorithm string) bool {
	return (k.algorithm == "" || k.algorithm == algorithm) && fits(algorithm, k.public)
}

// verifies checks the signature over exactly the bytes that were received.
// jwx's low-level verifier is used rather than jws.Verify, which would take
// the token apart again by more lenient rules than parseCompact's.
func (k *key) verifies(c *compact) bool {
	if !k.fits(c.algorithm) {
		return false
	}
	if hash, ok := pssHash(c.algorithm); ok {
		return verifiesPSS(k.public, hash, c)
	}
	verifier, err := jws.NewVerifier(jwa.SignatureAlgorithm(c.algorithm))
	return err == nil && verifier.Verify([]byte(c.signed), c.signature, k.public) == nil
}

// verifiesPSS checks an RSASSA-PSS signature. jwx v2 accepts salts of any
// length; RFC 7518 §3.5 wants that of the hash (TestWycheproofSignatures, 281
// to 286).
func verifiesPSS(public crypto.PublicKey, hash crypto.Hash, c *compact) bool {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return false
	}
	h := hash.New()
	h.Write([]byte(c.signed))
	options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	return rsa.VerifyPSS(key, hash, h.Sum(nil), c.signature, options) == nil
}

// parseKey reads one JWK. What it is for is checked here; jwx sees only the
// members that make up the public key.
func parseKey(raw []byte) (*key, error) {
	members, err := decodeObject(raw)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(members, func(_ string, value any) bool { return isEmpty(value) })
	k := new(key)
	if err := k.readPurpose(members); err != nil {
		return nil, err
	}
	if k.public, err = publicKey(members); err != nil {
		return nil, err
	}
	if k.algorithm != "" && !fits(k.algorithm, k.public) {
		return nil, fmt.Errorf("a key of another type or curve than its alg %.40q demands", k.algorithm)
	}
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return nil, fmt.Errorf("encoding the key: %w", err)
	}
	k.thumbprint = sha256.Sum256(der)
	return k, nil
}

// isEmpty reports whether a member of a JWK says nothing. Serializers write the
// members that a key does not have as null, "" or [] ("d":null, "oth":[]); none
// of RFC 7518's has a meaning with such a value.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func (k *key) readPurpose(members map[string]any) error {
	for _, name := range [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, ok := members[name]; ok && members["kty"] != "oct" {
			return fmt.Errorf("a private key (it has %q): the issuer publishes a secret", name)
		}
	}
	for name, field := range map[string]*string{"kid": &k.kid, "alg": &k.algorithm} {
		value, ok := members[name]
		if !ok {
			continue
		}
		if *field, ok = value.(string); !ok {
			return fmt.Errorf("its %s is not a string", name)
		}
	}
	k.algorithm = canonical(k.algorithm)
	if use, ok := members["use"]; ok && use != "sig" {
		return &otherPurposeError{fmt.Sprintf("its use is %.40q, not sig", fmt.Sprint(use)), use == "enc"}
	}
	if operations, ok := members["key_ops"]; ok {
		list, _ := operations.([]any)
		if !slices.Contains(list, any("verify")) {
			return errors.New("its key_ops lacks verify")
		}
	}
	if k.algorithm != "" && !slices.Contains(Algorithms(), k.algorithm) {
		return &otherPurposeError{fmt.Sprintf("its alg %.40q is not supported", k.algorithm), encrypts(k.algorithm)}
	}
	return nil
}

// otherPurposeError says that a key is not one that verifies tokens.
type otherPurposeError struct {
	reason  string
	encrypt bool // it is for encryption, which is no mistake of the issuer's
}

func (e *otherPurposeError) Error() string { return e.reason }

// encrypts reports whether an algorithm is one that agrees on or wraps keys by
// a public key (RFC 7518 §4.1), as in the second key that Keycloak publishes.
func encrypts(algorithm string) bool {
	return algorithm == "RSA1_5" || strings.HasPrefix(algorithm, "RSA-OAEP") || strings.HasPrefix(algorithm, "ECDH-ES")
}

// publicKey builds the key and refuses weak and broken ones.
func publicKey(members map[string]any) (crypto.PublicKey, error) {
	essence := make(map[string]any)
	for _, name := range [...]string{"kty", "crv", "n", "e", "x", "y"} {
		if value, ok := members[name].(string); ok {
			essence[name] = value
		}
	}
	switch essence["kty"] {
	case "RSA", "EC", "OKP":
	default:
		return nil, fmt.Errorf("its kty is %.40q, not RSA, EC or OKP", fmt.Sprint(members["kty"]))
	}
	encoded, err := json.Marshal(essence)
	if err != nil {
		return nil, fmt.Errorf("encoding the key: %w", err)
	}
	parsed, err := jwk.ParseKey(encoded)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	if err := checkExponent(parsed); err != nil {
		return nil, err
	}
	var public any
	if err := parsed.Raw(&public); err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	switch p := public.(type) {
	case *rsa.PublicKey:
		return p, checkRSA(p)
	case *ecdsa.PublicKey:
		if _, err := p.ECDH(); err != nil { // also for a point that is not on the curve
			return nil, fmt.Errorf("reading the key: %w", err)
		}
		return p, nil
	case ed25519.PublicKey:
		if len(p) != ed25519.PublicKeySize { // ed25519.Verify would panic
			return nil, errors.New("not the size of an Ed25519 key")
		}
		return p, nil
	}
	return nil, errors.New("a key of a type that signs nothing")
}

// checkExponent looks at e before jwx squeezes it into an int.
func checkExponent(parsed jwk.Key) error {
	if key, ok := parsed.(jwk.RSAPublicKey); ok && len(key.E()) > 4 {
		return errors.New("its exponent has more than 32 bits")
	}
	return nil
}

func checkRSA(key *rsa.PublicKey) error {
	switch bits := key.N.BitLen(); {
	case bits < minRSABits || bits > maxRSABits:
		return fmt.Errorf("an RSA key of %d bits, want %d to %d", bits, minRSABits, maxRSABits)
	case key.N.Bit(0) == 0:
		return errors.New("its modulus is even")
	case key.E < 3 || key.E%2 == 0 || key.E > 1<<31-1:
		return fmt.Errorf("its exponent %d is not an odd number of 3 to 2^31 − 1", key.E)
	case hasROCA(key.N):
		return errors.New("its modulus has the fingerprint of CVE-2017-15361 (ROCA)")
	}
	return nil
}
