package keystore

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// What Parse accepts of a key's material.
const (
	// MaxMaterial bounds the material, in bytes, before any work is done. An
	// RSA-8192 key is 6.4 kB of PEM and 8.6 kB of base64 of it.
	MaxMaterial = 64 << 10
	// MinBits is the least modulus: contract §6, and what Mux itself makes.
	MinBits = 2048
	// MaxBits is the largest modulus: signing time grows with its cube.
	MaxBits = 8192
	// minExponent is F4. Smaller exponents are legal RSA, but no tool makes
	// them any more and FIPS 186-5 forbids them.
	minExponent = 65537
	// maxExponent is crypto/rsa's own bound.
	maxExponent = 1<<31 - 1
)

const (
	pemBegin   = "-----BEGIN "
	whiteSpace = " \t\r\n\v\f"
)

// Parse reads the material of one RSA private key: PEM holding PKCS#1 or
// PKCS#8, or base64 of such PEM as Mux hands keys out (wrapped lines and absent
// padding do not matter); line breaks may be escaped as \n, as they come out of
// environment variables. Nothing but white space may surround the key.
//
// The modulus must have MinBits to MaxBits bits and two primes, the exponent
// must be odd and 65537 to 2^31-1, and all numbers must agree with each other;
// the primes are primes, as far as the Baillie-PSW test can tell.
// The key is returned validated and precomputed. The error says in plain words
// what the material is instead; it never quotes it.
func Parse(material []byte) (*rsa.PrivateKey, error) {
	if len(material) > MaxMaterial {
		return nil, fmt.Errorf("is larger than %d bytes, so it is not one key", MaxMaterial)
	}
	text, err := armored(string(material))
	if err != nil {
		return nil, err
	}
	block, err := onlyBlock(text)
	if err != nil {
		return nil, err
	}
	der, err := privateDER(block)
	if err != nil {
		return nil, err
	}
	if err := inspect(der); err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS1PrivateKey(der) // precomputes and validates
	if err != nil {
		return nil, fmt.Errorf("is a broken RSA private key: %w", err)
	}
	for _, p := range key.Primes { // crypto/rsa no longer looks
		if !p.ProbablyPrime(0) { // Baillie-PSW: no composite is known that passes
			return nil, errors.New("is a broken RSA private key: one of its primes is none")
		}
	}
	return key, nil
}

// armored takes off escapes and one layer of base64, down to PEM text.
func armored(text string) (string, error) {
	text = unescape(text)
	if text == "" {
		return "", errors.New("is empty")
	}
	if strings.Contains(text, pemBegin) {
		return text, nil
	}
	if text[0] == 0x30 {
		if _, err := asn1.Unmarshal([]byte(text), new(asn1.RawValue)); err == nil {
			return "", errors.New("is DER; want PEM, or base64 of PEM")
		}
	}
	once, ok := unbase64(text)
	if !ok {
		return "", errors.New("is neither PEM nor base64 of PEM")
	}
	if strings.Contains(once, pemBegin) {
		return unescape(once), nil
	}
	if twice, ok := unbase64(once); ok && strings.Contains(twice, pemBegin) {
		return "", errors.New("is base64 of base64 of PEM; decode it once")
	}
	return "", errors.New("is base64, but not of PEM")
}

// unescape turns \n and \r into what they mean (PEM has no backslashes of its
// own) and trims white space and a byte order mark.
func unescape(text string) string {
	if strings.Contains(text, `\`) {
		text = strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(text)
	}
	return strings.Trim(strings.TrimPrefix(text, "\ufeff"), whiteSpace)
}

func unbase64(text string) (string, bool) {
	text = strings.TrimRight(strings.Join(strings.Fields(text), ""), "=")
	decoded, err := base64.RawStdEncoding.DecodeString(text)
	return string(decoded), err == nil && len(decoded) > 0
}

// onlyBlock decodes the one PEM block that text may hold. pem.Decode alone
// would skip a damaged block and anything before and after a good one.
func onlyBlock(text string) (*pem.Block, error) {
	if strings.Contains(text, "-----BEGIN EC ") { // openssl ecparam writes two blocks
		return nil, errors.New("is an EC key; Mux's signing keys are RSA")
	}
	if n := strings.Count(text, pemBegin); n > 1 {
		return nil, fmt.Errorf("holds %d PEM blocks; want one private key alone", n)
	}
	if !strings.HasPrefix(text, pemBegin) {
		return nil, errors.New("has text before the key; want one private key alone")
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("is truncated or damaged PEM")
	}
	if strings.Trim(string(rest), whiteSpace) != "" {
		return nil, errors.New("has text after the key; want one private key alone")
	}
	if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
		return nil, errEncrypted
	}
	return block, nil
}

var errEncrypted = errors.New("is encrypted; remove the passphrase first: openssl rsa -in KEY -out PLAIN")

// privateDER returns the PKCS#1 DER in a PEM block.
func privateDER(block *pem.Block) ([]byte, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return block.Bytes, nil
	case "PRIVATE KEY":
		return unwrapPKCS8(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errEncrypted
	case "PUBLIC KEY", "RSA PUBLIC KEY", "SSH2 PUBLIC KEY":
		return nil, errors.New("is a public key; want the private key")
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		return nil, errors.New("is a certificate; want the private key")
	case "EC PRIVATE KEY", "EC PARAMETERS":
		return nil, errors.New("is an EC key; Mux's tokens are RS256, which needs RSA")
	case "OPENSSH PRIVATE KEY":
		return nil, errors.New("is an OpenSSH key; convert it with: ssh-keygen -p -m PEM -f KEY")
	}
	return nil, fmt.Errorf("is PEM of type %.40q; want RSA PRIVATE KEY or PRIVATE KEY", block.Type)
}

// unwrapPKCS8 returns the PKCS#1 DER inside PKCS#8. x509.ParsePKCS8PrivateKey
// would accept trailing data; it serves here to name what is not RSA.
func unwrapPKCS8(der []byte) ([]byte, error) {
	var outer struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}
	rest, err := asn1.Unmarshal(der, &outer)
	if err != nil {
		return nil, fmt.Errorf("is not PKCS#8, though its label says so: %w", err)
	}
	if len(rest) > 0 {
		return nil, errors.New("has data after the key")
	}
	if outer.Algorithm.Algorithm.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}) {
		return outer.PrivateKey, nil
	}
	kind := "algorithm " + outer.Algorithm.Algorithm.String()
	switch key, _ := x509.ParsePKCS8PrivateKey(der); key.(type) {
	case *ecdsa.PrivateKey:
		kind = "EC"
	case ed25519.PrivateKey:
		kind = "Ed25519"
	case *ecdh.PrivateKey:
		kind = "X25519"
	}
	return nil, fmt.Errorf("is a private key, but not RSA (%s); Mux's tokens are RS256", kind)
}

// inspect looks at a PKCS#1 key's numbers before crypto/rsa computes with them:
// it bounds the work, and says plainly what crypto/rsa reports as a symptom.
func inspect(der []byte) error {
	var head struct { // the first members of RFC 8017's RSAPrivateKey
		Version int
		N, E    *big.Int
	}
	rest, err := asn1.Unmarshal(der, &head)
	if err != nil {
		return fmt.Errorf("is truncated or not an RSA private key: %w", err)
	}
	if len(rest) > 0 {
		return errors.New("has data after the key")
	}
	if head.Version != 0 {
		return errors.New("is a multi-prime RSA key; want two primes")
	}
	if bits := head.N.BitLen(); head.N.Sign() <= 0 || bits < MinBits || bits > MaxBits {
		return fmt.Errorf("is an RSA key of %d bits; want %d to %d", bits, MinBits, MaxBits)
	}
	if head.E.Cmp(big.NewInt(minExponent)) < 0 || head.E.Cmp(big.NewInt(maxExponent)) > 0 || head.E.Bit(0) == 0 {
		return fmt.Errorf("has an RSA exponent that is not odd and %d to %d", minExponent, maxExponent)
	}
	return nil
}
