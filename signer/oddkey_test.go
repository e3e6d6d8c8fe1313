package signer_test

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"

	"github.com/playgate/playgate/signer"
)

// numbers are those of a key, to be put together otherwise.
type numbers struct {
	t      *testing.T
	p, q   *big.Int
	public int
}

func (n numbers) key() *rsa.PrivateKey {
	n.t.Helper()
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(n.p, one), new(big.Int).Sub(n.q, one))
	d := new(big.Int).ModInverse(big.NewInt(int64(n.public)), phi)
	if d == nil {
		n.t.Fatalf("%d has no inverse", n.public)
	}
	return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(n.p, n.q), E: n.public}, D: d, Primes: []*big.Int{n.p, n.q}}
}

// prime returns a prime p of so many bits with p-1 prime to the exponent.
func prime(t *testing.T, bits, exponent int) *big.Int {
	t.Helper()
	for {
		p, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		if e := big.NewInt(int64(exponent)); new(big.Int).GCD(nil, nil, e, new(big.Int).Sub(p, big.NewInt(1))).IsInt64() &&
			new(big.Int).GCD(nil, nil, e, new(big.Int).Sub(p, big.NewInt(1))).Int64() == 1 {
			return p
		}
	}
}

// oddKeys are keys that nobody makes on purpose, and whether they are good.
func oddKeys(t *testing.T) map[string]struct {
	key  *rsa.PrivateKey
	good bool
} {
	t.Helper()
	const f4 = 65537
	p, q := prime(t, 1024, f4), prime(t, 1024, f4)
	if p.Cmp(q) < 0 {
		p, q = q, p
	}
	usual := func() *rsa.PrivateKey { return numbers{t, p, q, f4}.key() }
	changed := func(change func(*rsa.PrivateKey)) *rsa.PrivateKey {
		k := usual()
		change(k)
		return k
	}
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	three := prime(t, 512, f4)
	type odd = struct {
		key  *rsa.PrivateKey
		good bool
	}
	return map[string]odd{
		"p > q":                   {usual(), true},
		"q > p":                   {numbers{t, q, p, f4}.key(), true},
		"1024 bits":               {numbers{t, prime(t, 512, f4), prime(t, 512, f4), f4}.key(), true},
		"1536 bits":               {numbers{t, prime(t, 768, f4), prime(t, 768, f4), f4}.key(), true},
		"2049 bits":               {numbers{t, prime(t, 1025, f4), prime(t, 1024, f4), f4}.key(), true},
		"e=3":                     {numbers{t, prime(t, 1024, 3), prime(t, 1024, 3), 3}.key(), true},
		"e=65539":                 {numbers{t, prime(t, 1024, 65539), prime(t, 1024, 65539), 65539}.key(), true},
		"primes of 1000 and 1048": {numbers{t, prime(t, 1000, f4), prime(t, 1048, f4), f4}.key(), true},
		"primes of 1048 and 1000": {numbers{t, prime(t, 1048, f4), prime(t, 1000, f4), f4}.key(), true},
		"primes of 1023 and 1025": {numbers{t, prime(t, 1023, f4), prime(t, 1025, f4), f4}.key(), true},
		"d + phi":                 {changed(func(k *rsa.PrivateKey) { k.D.Add(k.D, phi) }), false},
		"d modulo lcm(p-1, q-1)": {changed(func(k *rsa.PrivateKey) {
			less := new(big.Int).GCD(nil, nil, new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
			k.D.Mod(k.D, less.Div(phi, less))
		}), true},
		"d = 0":                     {changed(func(k *rsa.PrivateKey) { k.D = new(big.Int) }), false},
		"no d":                      {changed(func(k *rsa.PrivateKey) { k.D = nil }), false},
		"p = q":                     {numbers{t, p, p, f4}.key(), false},
		"p and 1":                   {changed(func(k *rsa.PrivateKey) { k.Primes = []*big.Int{k.N, one} }), false},
		"primes of another key":     {changed(func(k *rsa.PrivateKey) { k.Primes = []*big.Int{p, prime(t, 1024, f4)} }), false},
		"n + 2":                     {changed(func(k *rsa.PrivateKey) { k.N.Add(k.N, big.NewInt(2)) }), false},
		"n even":                    {changed(func(k *rsa.PrivateKey) { k.N.Add(k.N, one) }), false},
		"p even":                    {changed(func(k *rsa.PrivateKey) { k.Primes = []*big.Int{new(big.Int).Lsh(p, 1), q} }), false},
		"-p and -q":                 {changed(func(k *rsa.PrivateKey) { k.Primes = []*big.Int{new(big.Int).Neg(p), new(big.Int).Neg(q)} }), true},
		"one prime":                 {changed(func(k *rsa.PrivateKey) { k.Primes = k.Primes[:1] }), false},
		"three primes":              {changed(func(k *rsa.PrivateKey) { k.Primes = append(k.Primes, three) }), false},
		"a prime that is not there": {changed(func(k *rsa.PrivateKey) { k.Primes[1] = nil }), false},
		"another exponent than d's": {changed(func(k *rsa.PrivateKey) { k.E = 65539 }), false},
		"precomputed for another key": {changed(func(k *rsa.PrivateKey) {
			o := testKey(t, "rsa2048-1.pem")
			o.Precompute()
			k.Precomputed = o.Precomputed
		}), false},
		"precomputed with nothing": {changed(func(k *rsa.PrivateKey) { k.Precomputed = rsa.PrecomputedValues{Qinv: big.NewInt(1)} }), true},
		"close primes":             {closePrimes(t), false},
		"half a prime":             {halfKey(t), true}, // see TestAKeyThatIsNoneDoesNotSwitchTheLanesOff
	}
}

// closePrimes is a key that Fermat's method factors.
func closePrimes(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	p := prime(t, 1024, 65537)
	q := new(big.Int).Add(p, big.NewInt(2))
	for !q.ProbablyPrime(8) || new(big.Int).Mod(q, big.NewInt(65537)).Int64() == 1 {
		q.Add(q, big.NewInt(2))
	}
	return numbers{t, p, q, 65537}.key()
}

// A key that nobody makes on purpose is refused, without a panic, or signs as with
// crypto/rsa: that is what the self-check compares.
func TestOddKeysAreRefusedOrSignRightly(t *testing.T) {
	t.Parallel()
	available := backends(t)
	available["lanes"] = signer.NewLanes(available[signer.BackendGo], 1, together)
	for what, odd := range oddKeys(t) {
		for name, backend := range available {
			handle, err := signer.Admit(backend, odd.key)
			if (err == nil) != odd.good {
				t.Errorf("%s: a key with %s: %v", name, what, err)
			}
			if err != nil || what == "half a prime" {
				continue
			}
			work, want := works(t, 8, handle, odd.key)
			backend.Sign(work)
			mustBe(t, work, want)
			for _, w := range work {
				if w.Healed {
					t.Errorf("%s: a signature with %s was wrong at first", name, what)
				}
			}
		}
	}
}
