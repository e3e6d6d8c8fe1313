package multibuffer

import (
	"encoding/binary"
	"math/bits"
)

// toDigits sets dst to the digits, of so many bits, of a big-endian number, which
// must fit. What it does depends on the lengths alone.
func toDigits(dst []uint64, number []byte, size int) {
	for i := range dst {
		first := i * size // bit
		end := len(number) - first/8
		if end <= 0 {
			dst[i] = 0
			continue
		}
		var word [8]byte
		copy(word[max(0, 8-end):], number[max(0, end-8):end])
		// 64 bits from a byte's border on hold any digit: 52 + 7 < 64.
		dst[i] = binary.BigEndian.Uint64(word[:]) >> (first % 8) & (1<<size - 1)
	}
}

// fromDigits writes normalized digits as a big-endian number of len(number)
// bytes, in which they must fit.
func fromDigits(number []byte, digit func(i int) uint64) {
	var pending uint64 // bits that are not written yet, fewer than 8 between digits
	held, i := 0, 0
	for at := len(number) - 1; at >= 0; at-- {
		if held < 8 && i < (8*len(number)+radix-1)/radix {
			pending |= digit(i) << held
			held += radix
			i++
		}
		number[at] = byte(pending)
		pending >>= 8
		held -= 8
	}
}

// negatedInverse returns -1/m mod 2^52 for an odd m, by Newton's iteration.
func negatedInverse(m uint64) uint64 {
	inverse := m // right for 3 bits
	for range 5 {
		inverse *= 2 - m*inverse
	}
	return -inverse & mask52
}

// doubled returns x·2^times mod m, both big-endian words of 64 bits with x < m.
// It takes the same steps whatever their values are.
func doubled(x, m []uint64, times int) []uint64 {
	x = append([]uint64(nil), x...)
	difference := make([]uint64, len(x))
	for range times {
		var carry, borrow uint64
		for i := len(x) - 1; i >= 0; i-- {
			x[i], carry = bits.Add64(x[i], x[i], carry)
		}
		for i := len(x) - 1; i >= 0; i-- {
			difference[i], borrow = bits.Sub64(x[i], m[i], borrow)
		}
		_, less := bits.Sub64(carry, 0, borrow)
		for i := range x {
			x[i] = x[i]&-less | difference[i]&^-less
		}
	}
	return x
}

// halved returns 1/2^times mod m for an odd m of big-endian words. It takes the same
// steps whatever its value is.
func halved(m []uint64, times int) []uint64 {
	x := make([]uint64, len(m))
	x[len(x)-1] = 1
	for range times {
		odd := -(x[len(x)-1] & 1)
		var carry uint64
		for i := len(x) - 1; i >= 0; i-- {
			x[i], carry = bits.Add64(x[i], m[i]&odd, carry)
		}
		for i := range x {
			x[i], carry = x[i]>>1|carry<<63, x[i]&1
		}
	}
	return x
}

// words returns a big-endian number of whole words as words.
func words(number []byte) []uint64 {
	w := make([]uint64, len(number)/8)
	for i := range w {
		w[i] = binary.BigEndian.Uint64(number[8*i:])
	}
	return w
}

// octets is the opposite of words.
func octets(w []uint64) []byte {
	number := make([]byte, 0, 8*len(w))
	for _, word := range w {
		number = binary.BigEndian.AppendUint64(number, word)
	}
	return number
}
