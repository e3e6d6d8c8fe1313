package environments

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
)

const (
	exponent  = 65537
	primeBits = 1024
)

// keyring makes distinct RSA-2048 keys of pairs of few primes.
type keyring struct {
	primes []*big.Int
	i, j   int // the pair of the last key; i < j but before the first
}

// newKeyring draws as many primes as n keys take.
func newKeyring(n int) (*keyring, error) {
	k := &keyring{}
	for len(k.primes)*(len(k.primes)-1)/2 < n {
		p, err := rand.Prime(rand.Reader, primeBits)
		if err != nil {
			return nil, fmt.Errorf("drawing a prime: %w", err)
		}
		// Two such primes make a modulus of 2048 bits; e must have an inverse.
		if p.Bit(primeBits-2) == 0 || new(big.Int).Mod(p, big.NewInt(exponent)).Cmp(big.NewInt(1)) == 0 {
			continue
		}
		k.primes = append(k.primes, p)
	}
	return k, nil
}

// next returns a key that it has not returned before, as PEM.
func (k *keyring) next() ([]byte, error) {
	if k.j++; k.j >= len(k.primes) {
		k.i++
		k.j = k.i + 1
	}
	p, q := k.primes[k.i], k.primes[k.j]
	one, e := big.NewInt(1), big.NewInt(exponent)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: exponent},
		D:         new(big.Int).ModInverse(e, phi),
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
}
