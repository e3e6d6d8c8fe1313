package identity

import "math/big"

// hasROCA recognizes RSA moduli made by the broken generator of CVE-2017-15361
// (Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, §2): all
// their primes are powers of 65537 modulo the small primes, so the modulus is
// one too. A good modulus passes for one with probability below 2^-27.
func hasROCA(modulus *big.Int) bool {
	for _, prime := range [...]int64{
		3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83,
		89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
	} {
		residue := new(big.Int).Mod(modulus, big.NewInt(prime)).Int64()
		if !isPower(residue, 65537%prime, prime) {
			return false
		}
	}
	return true
}

// isPower reports whether n is a power of base modulo prime.
func isPower(n, base, prime int64) bool {
	power := int64(1)
	for range prime {
		if power == n {
			return true
		}
		power = power * base % prime
	}
	return false
}
