package keystore

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
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

// Parse reads the material of one RSA private key: PEM holding PKCS#1 or
// PKCS#8, or base64 of such PEM as Mux hands keys out. White space around it does
// not matter; nothing else may surround the key.
//
// What environment variables, YAML and editors do to such text is undone, as
// Mux's SDKs do, and repairs says what it was: line breaks that became spaces,
// are missing or are written as \n, indented lines, CRLF, a byte order mark,
// quotation marks, base64 in several lines, in the URL-safe alphabet or without
// padding. No repairs: the material was well-formed.
//
// The modulus must have MinBits to MaxBits bits and two primes, the exponent
// must be odd and 65537 to 2^31-1, and all numbers must agree with each other;
// the primes are primes, as far as the Baillie-PSW test can tell.
// The key is returned validated and precomputed. The error says in plain words
// what the material is instead; neither it nor a repair ever quotes it.
func Parse(material []byte) (key *rsa.PrivateKey, repairs []string, err error) {
	key, repairs, err = parse(material)
	if err != nil {
		return nil, nil, err
	}
	if err := checkPrimes(key); err != nil {
		return nil, nil, err
	}
	return key, repairs, nil
}

// parse is Parse without the look at the primes, which takes several times as long
// as all the rest.
func parse(material []byte) (key *rsa.PrivateKey, repairs []string, err error) {
	if len(material) > MaxMaterial {
		return nil, nil, fmt.Errorf("is larger than %d bytes, so it is not one key", MaxMaterial)
	}
	var a armor
	block, err := a.open(string(material))
	if err != nil {
		return nil, nil, err
	}
	der, err := privateDER(block)
	if err != nil {
		return nil, nil, err
	}
	if err := inspect(der); err != nil {
		return nil, nil, err
	}
	key, err = x509.ParsePKCS1PrivateKey(der) // precomputes and validates
	if err != nil {
		return nil, nil, errors.New("is a broken RSA private key: its numbers do not fit together; " + recopy)
	}
	return key, a.repairs, nil
}

// WellFormed returns the material of a key as it should be stored: unchanged if
// Parse has nothing to repair, else as PKCS#1 PEM.
func WellFormed(material []byte) (text []byte, repairs []string, err error) {
	key, repairs, err := Parse(material)
	if err != nil || len(repairs) == 0 {
		return material, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), repairs, nil
}

// Repaired says of a key what Parse has repaired.
func Repaired(repairs []string) string {
	return "was repaired to be read, because it had " + strings.Join(repairs, ", ")
}

// Labels of PEM that a private key may have (RFC 7468 §10, §11; PKCS#1's is not
// in it, but in all tools).
const (
	labelPKCS1     = "RSA PRIVATE KEY"
	labelPKCS8     = "PRIVATE KEY"
	labelEncrypted = "ENCRYPTED PRIVATE KEY"
)

// privateDER returns the PKCS#1 DER in a PEM block. What it holds counts, before
// what its label says.
func privateDER(block *pem.Block) ([]byte, error) {
	holds := contentOf(block.Bytes)
	if err := otherContent(holds, "is"); err != nil {
		if byLabel(block.Type) == nil {
			return nil, fmt.Errorf("%w; its label %q is wrong", err, block.Type)
		}
		return nil, err
	}
	switch {
	case holds == encryptedPKCS8 && block.Type != labelEncrypted:
		return nil, fmt.Errorf("%w; then %w", relabel("an encrypted key", block.Type, labelEncrypted), errDecrypt)
	case holds == rsaPKCS1 && block.Type != labelPKCS1:
		return nil, relabel("a PKCS#1 RSA private key", block.Type, labelPKCS1)
	case holds == anyPKCS8 && block.Type != labelPKCS8:
		if _, err := unwrapPKCS8(block.Bytes); err != nil {
			return nil, err
		}
		return nil, relabel("a PKCS#8 private key", block.Type, labelPKCS8)
	}
	if err := byLabel(block.Type); err != nil {
		return nil, err
	}
	if block.Type == labelPKCS8 {
		return unwrapPKCS8(block.Bytes)
	}
	return block.Bytes, nil
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
		return errors.New("is truncated or not an RSA private key; " + recopy)
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
