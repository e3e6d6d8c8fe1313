package multibuffer

import (
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"math/bits"
)

// Sizes of the keys that lanes can hold, in bytes.
const (
	signatureSize = 256
	primeSize     = signatureSize / 2
)

// Exponent is the public exponent of the keys that lanes can hold.
const Exponent = 65537

// ErrUnsuitable is the error of a key that is not for lanes: not of 2048 bits,
// not of two primes of 1024 bits, or of another public exponent than 65537.
var ErrUnsuitable = errors.New("the key is not RSA-2048 with two primes and the exponent 65537")

// Key is a private key as lanes take it. It is not written to after NewKey.
type Key struct {
	private [privateWords]uint64
	public  [publicWords]uint64
}

// Vectors that a key fills in each lane, in the order of the layout.
const (
	privateWords = 2*(modulusSize+digits+exponentSize) + digits
	publicWords  = modulusSize + digits + 2*digits
)

// NewKey prepares a key that crypto/rsa has validated and precomputed, and does
// not keep it. The error is ErrUnsuitable or nil.
func NewKey(key *rsa.PrivateKey) (*Key, error) {
	if len(key.Primes) != 2 || key.E != Exponent || key.N.BitLen() != 8*signatureSize || key.Precomputed.Qinv == nil {
		return nil, ErrUnsuitable
	}
	for _, prime := range key.Primes {
		if prime.BitLen() != 8*primeSize {
			return nil, ErrUnsuitable
		}
	}
	k := &Key{}
	w := writer{k.private[:]}
	buffer := make([]byte, primeSize)
	defer clear(buffer)
	p := words(key.Primes[0].FillBytes(buffer))
	w.prime(buffer, key.Precomputed.Dp.FillBytes(make([]byte, primeSize)))
	inverse := doubled(words(key.Precomputed.Qinv.FillBytes(buffer)), p, digits*radix)
	w.prime(key.Primes[1].FillBytes(buffer), key.Precomputed.Dq.FillBytes(make([]byte, primeSize)))
	w.number(octets(inverse), digits)
	writer{k.public[:]}.publicKey(key.N.FillBytes(make([]byte, signatureSize)))
	return k, nil
}

// writer lays numbers out as digits, one behind the other.
type writer struct{ left []uint64 }

func (w *writer) number(bigEndian []byte, size int) {
	toDigits(w.left[:size], bigEndian, radix)
	w.left = w.left[size:]
}

func (w *writer) prime(p, exponent []byte) {
	toDigits(w.left[:digits], p, radix)
	w.modulus(lowWord(p))
	w.left = w.left[modulusSize:]
	w.number(octets(squaredRadix(words(p), digits)), digits)
	toDigits(w.left[:exponentSize], exponent, windowsInWord*window)
	w.left = w.left[exponentSize:]
}

func (w writer) publicKey(n []byte) {
	var all [2 * digits]uint64
	toDigits(all[:], n, radix)
	copy(w.left, all[:digits])
	w.modulus(lowWord(n))
	copy(w.left[modulusSize:], all[digits:])
	toDigits(w.left[modulusSize+digits:], octets(squaredRadix(words(n), 2*digits)), radix)
}

// modulus completes a modulus whose 20 digits are there.
func (w *writer) modulus(lowest uint64) {
	m := w.left
	m[inverseAt] = negatedInverse(lowest)
	var borrow uint64
	for i := range quarter {
		d := m[digits-quarter+i] - m[digits-2*quarter+i] + borrow
		borrow = shift(d)
		m[amountAt+i] = d & mask52
	}
	m[signAt] = borrow
	carry := borrow & 1
	for i := range quarter {
		d := (m[amountAt+i]^borrow)&mask52 + carry
		carry = d >> radix
		m[amountAt+i] = d & mask52
	}
}

// lowWord returns the last 64 bits of a big-endian number.
func lowWord(number []byte) uint64 {
	return binary.BigEndian.Uint64(number[len(number)-8:])
}

// squaredRadix returns R² mod m for R = 2^(52·size), where m's highest bit is set.
func squaredRadix(m []uint64, size int) []uint64 {
	// 2^bits - m is 2^bits mod m, and less than m.
	start := make([]uint64, len(m))
	var borrow uint64
	for i := len(m) - 1; i >= 0; i-- {
		start[i], borrow = bits.Sub64(0, m[i], borrow)
	}
	return doubled(start, m, 2*radix*size-64*len(m))
}
