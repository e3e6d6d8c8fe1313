package main

import (
	. "github.com/mmcloughlin/avo/build"   //nolint:revive,staticcheck // avo's own way to read like assembly
	. "github.com/mmcloughlin/avo/operand" //nolint:revive,staticcheck // likewise
	"github.com/mmcloughlin/avo/reg"
)

// script is a run of instructions that are not written yet.
type script []func()

func (s *script) do(instructions ...func()) { *s = append(*s, instructions...) }

// weave writes two independent scripts, the second one spread evenly among the
// first: additions and moves are free beside multiplications, but not in a heap.
func weave(main, side script) {
	written := 0
	for i, instruction := range main {
		instruction()
		for due := len(side) * (i + 1) / len(main); written < due; written++ {
			side[written]()
		}
	}
}

// square is Karatsuba's: with halves l and h of ten digits,
// a² = l² + (l² + h² - (l-h)²)·X + h²·X², which is 330 multiplications and not 420.
func square() {
	kernel("kernelSquare", "kernelSquare sets the 40 columns at DI to the square of the 20 digits at SI; it writes to the 20 at CX.")
	digit := func(i int) reg.VecPhysical { return z(20 + i) }
	free := func(i int) reg.VecPhysical { return z(30 + i%2) }
	load := func(base reg.Register, first int) {
		for i := range half {
			VMOVDQA64(at(base, first+i), digit(i))
		}
	}
	store := func(first int) {
		for c := range digits {
			VMOVDQA64(z(c), at(reg.RDI, first+c))
		}
	}

	// Beside l²: the digits of l-h. Multiplications ignore what is above 52 bits.
	var difference script
	for i := range half {
		difference.do(
			func() { VMOVDQA64(at(reg.RSI, i), free(i)) },
			func() { VPSUBQ(at(reg.RSI, half+i), free(i), free(i)) })
		if i > 0 {
			difference.do(
				func() { VPSRAQ(U8(radix), free(i-1), free(i-1)) },
				func() { VPADDQ(free(i-1), free(i), free(i)) })
		}
		difference.do(func() { VMOVDQA64(free(i), at(reg.RCX, i)) })
	}
	load(reg.RSI, 0)
	weave(squareHalf(digit), difference)
	store(0)

	VPMOVQ2M(free(half-1), reg.K1)
	load(reg.RSI, half)
	weave(squareHalf(digit), nil)
	store(digits)

	// Beside (l-h)²: what it is subtracted from. Where the difference is negative,
	// its amount less one is squared.
	load(reg.RCX, 0)
	for i := range half {
		VPTERNLOGQ(U8(0x55), digit(i), digit(i), reg.K1, digit(i)) // not
	}
	var sum script
	for c := range half {
		both, one := free(0), free(1)
		sum.do(
			func() { VMOVDQA64(at(reg.RDI, half+c), both) },
			func() { VPADDQ(at(reg.RDI, digits+c), both, both) },
			func() { VPADDQ(at(reg.RDI, c), both, one) },
			func() { VMOVDQA64(one, at(reg.RCX, c)) },
			func() { VPADDQ(at(reg.RDI, digits+half+c), both, one) },
			func() { VMOVDQA64(one, at(reg.RCX, half+c)) })
	}
	amountSquared := squareHalf(digit)
	weave(amountSquared, sum)
	// (x+1)² = x² + 2x + 1 where x is the amount less one.
	mask := z(30)
	mask52(mask)
	for i := range half {
		VPANDQ(mask, digit(i), digit(i))
		VPADDQ(digit(i), digit(i), digit(i))
		VPADDQ(digit(i), z(i), reg.K1, z(i))
	}
	VPSRLQ(U8(radix-1), mask, mask) // 1
	VPADDQ(mask, z(0), reg.K1, z(0))
	for c := range digits {
		r := z(20 + c%8)
		VMOVDQA64(at(reg.RCX, c), r)
		VPSUBQ(z(c), r, r)
		VMOVDQA64(r, at(reg.RDI, half+c))
	}
	RET()
}

// squareHalf squares ten digits into Z0 to Z19: the products of different ones,
// twice, and the squares.
func squareHalf(digit func(int) reg.VecPhysical) script {
	var s script
	for c := range digits {
		zero(c, z(c))
	}
	for i := range half {
		for j := i + 1; j < half; j++ {
			s.do(
				func() { VPMADD52LUQ(digit(i), digit(j), z(i+j)) },
				func() { VPMADD52HUQ(digit(i), digit(j), z(i+j+1)) })
		}
		// No later product falls into these two.
		for c := 2 * i; c < 2*i+2; c++ {
			s.do(func() { VPADDQ(z(c), z(c), z(c)) })
		}
		s.do(
			func() { VPMADD52LUQ(digit(i), digit(i), z(2*i)) },
			func() { VPMADD52HUQ(digit(i), digit(i), z(2*i+1)) })
	}
	return s
}
