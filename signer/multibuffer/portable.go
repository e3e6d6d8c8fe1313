package multibuffer

import "math/bits"

// mask52 is the largest digit.
const mask52 = 1<<radix - 1

// runPortable carries out steps as the assembly does, in Go: to be read, to be
// compared with, and for tests where there is no such processor.
func runPortable(steps []step, scratch []uint64) {
	for i := range steps {
		s := &steps[i]
		portable{scratch, s}.run()
	}
}

// portable is one step.
type portable struct {
	scratch []uint64
	step    *step
}

func (p portable) run() {
	dst, a, b, c := p.at(p.step.dst), p.at(p.step.a), p.at(p.step.b), p.at(p.step.c)
	switch p.step.op {
	case opProduct:
		clear(dst[:2*digits*Lanes])
		accumulate(dst, a, b)
	case opAccumulate:
		accumulate(dst, a, b)
	case opProductPick:
		clear(dst[:2*digits*Lanes])
		accumulate(dst, a, dst[selectedAt*Lanes:])
		pick(p.at(p.step.b-digits*vectorBytes), b, c, p.step.number)
	case opSquare:
		clear(dst[:2*digits*Lanes])
		accumulate(dst, a, a)
	case opReduce:
		reduce(dst, a, b, c)
		settle(p.at(p.step.number))
	case opDivide:
		divide(dst, a, b, c)
		settle(p.at(p.step.number))
	case opSettle:
		settle(p.at(p.step.number))
	case opAdd:
		normalize(digits, dst, func(i int) uint64 { return a[i] + b[i] })
	case opSubtract:
		normalize(digits, dst, func(i int) uint64 { return a[i] - b[i] + 2*c[i] })
	case opPut:
		for i := range digits {
			copy(dst[i*int(p.step.number)/8:][:Lanes], a[i*Lanes:])
		}
	case opCarry:
		normalize(2*digits, dst, func(i int) uint64 { return a[i] })
	case opTrim:
		trim(dst, a, b, c)
	}
}

// at returns the scratch from an offset on.
func (p portable) at(offset uint32) []uint64 { return p.scratch[offset/8:] }

// low returns the lower 52 bits of the product of two digits.
func low(a, b uint64) uint64 { return (a & mask52) * (b & mask52) & mask52 }

// high returns the upper 52 bits of the product of two digits.
func high(a, b uint64) uint64 {
	h, l := bits.Mul64(a&mask52, b&mask52)
	return h<<(64-radix) | l>>radix
}

// accumulate adds the product of two numbers to 40 columns.
func accumulate(columns, a, b []uint64) {
	for i := range digits {
		for j := range digits {
			for lane := range Lanes {
				x, y := a[j*Lanes+lane], b[i*Lanes+lane]
				columns[(i+j)*Lanes+lane] += low(x, y)
				columns[(i+j+1)*Lanes+lane] += high(x, y)
			}
		}
	}
}

// pick reads every entry of the table and keeps one for each lane.
func pick(out, table, exponent []uint64, shift uint32) {
	clear(out[:digits*Lanes])
	for entry := range entries {
		for lane := range Lanes {
			number := exponent[lane] >> shift & (entries - 1)
			keep := equal(number, uint64(entry))
			for i := range digits {
				out[i*Lanes+lane] |= table[(i*entries+entry)*Lanes+lane] & keep
			}
		}
	}
}

// equal returns all ones if two small numbers are equal, else nothing.
func equal(a, b uint64) uint64 {
	return -(((a ^ b) - 1) >> 63)
}

// shift divides a column by 2^52, rounding down.
func shift(column uint64) uint64 {
	return uint64(int64(column) >> radix) //nolint:gosec // a column is a signed number
}

// reduce multiplies the lower ten digits by 1/2^520 mod m and divides what is left.
func reduce(out, t, m, quotient []uint64) {
	var columns [2 * digits * Lanes]uint64
	copy(columns[:], t)
	for i := range half {
		for lane := range Lanes {
			at := func(j int) *uint64 { return &columns[(i+j)*Lanes+lane] }
			digit := *at(0) & mask52
			*at(1) += shift(*at(0))
			for j := range digits {
				factor := m[(foldAt+j)*Lanes+lane]
				*at(half + j) += low(digit, factor)
				*at(half + j + 1) += high(digit, factor)
			}
		}
	}
	divide(out, columns[half*Lanes:], m, quotient)
}

// divide is half of Montgomery's reduction, a digit at a time.
func divide(out, t, m, quotient []uint64) {
	var columns [(half + digits) * Lanes]uint64
	copy(columns[:], t)
	for i := range half {
		for lane := range Lanes {
			at := func(j int) *uint64 { return &columns[(i+j)*Lanes+lane] }
			q := low(*at(0), m[inverseAt*Lanes+lane])
			quotient[i*Lanes+lane] = q
			*at(1) += shift(*at(0)+mask52) + high(m[lane], q) // the lowest digit becomes zero; its carry is the ceiling
			for j := 1; j < digits; j++ {
				*at(j) += low(m[j*Lanes+lane], q)
				*at(j + 1) += high(m[j*Lanes+lane], q)
			}
		}
	}
	copy(out, columns[half*Lanes:])
}

// settle carries through 20 columns.
func settle(x []uint64) {
	normalize(digits, x, func(i int) uint64 { return x[i] })
}

// normalize carries from digit to digit; the last one keeps what is above 52 bits.
func normalize(n int, out []uint64, column func(i int) uint64) {
	var carry [Lanes]uint64
	for i := range n {
		for lane := range Lanes {
			value := column(i*Lanes+lane) + carry[lane]
			if i < n-1 {
				carry[lane] = shift(value)
				value &= mask52
			}
			out[i*Lanes+lane] = value
		}
	}
}

// trim subtracts n where the number is not smaller.
func trim(out, x, n, difference []uint64) {
	for lane := range Lanes {
		var borrow uint64
		for i := range 2 * digits {
			value := x[i*Lanes+lane] - n[i*Lanes+lane] + borrow
			borrow = shift(value)
			difference[i*Lanes+lane] = value & mask52
		}
		for i := range 2 * digits {
			j := i*Lanes + lane
			out[j] = x[j]&borrow | difference[j]&^borrow
		}
	}
}
