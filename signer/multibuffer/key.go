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
	publicWords  = dividerSize + digits + 2*digits
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
	w.modulus(p)
	w.left = w.left[modulusSize:]
	w.number(octets(squaredRadix(words(p), digits)), digits)
	toDigits(w.left[:exponentSize], exponent, windowsInWord*window)
	w.left = w.left[exponentSize:]
}

func (w writer) publicKey(n []byte) {
	var all [2 * digits]uint64
	toDigits(all[:], n, radix)
	copy(w.left, all[:digits])
	divider(w.left, lowWord(n))
	copy(w.left[dividerSize:], all[digits:])
	toDigits(w.left[dividerSize+digits:], octets(squaredRadix(words(n), 2*digits)), radix)
}

// modulus writes a modulus of 1024 bits as reduce takes it.
func (w *writer) modulus(m []byte) {
	toDigits(w.left[:digits], m, radix)
	divider(w.left, lowWord(m))
	fold := w.left[foldAt:]
	toDigits(fold[:digits], octets(halved(words(m), half*radix)), radix)
	difference(w.left[foldLowAt:], fold)
	difference(w.left[foldHighAt:], fold[half:])
}

// divider completes a modulus as divide takes it, whose 20 digits are there.
func divider(m []uint64, lowest uint64) {
	m[inverseAt] = negatedInverse(lowest)
	difference(m[differenceAt:], m[half:])
}

// difference writes that of ten digits' upper and lower halves.
func difference(dst, ten []uint64) {
	var borrow uint64
	for i := range quarter {
		d := ten[quarter+i] - ten[i] + borrow
		borrow = shift(d)
		dst[i] = d & mask52
	}
	dst[quarter] = borrow
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
