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

// merge makes one script of two, the shorter one spread evenly.
func merge(a, b script) script {
	if len(a) < len(b) {
		a, b = b, a
	}
	var s script
	written := 0
	for i, instruction := range a {
		s.do(instruction)
		due := len(b) * (i + 1) / len(a)
		s.do(b[written:due]...)
		written = due
	}
	return s
}

// square is Karatsuba's: with halves l and h of ten digits,
// a² = l² + (l² + h² - (l-h)²)·X + h²·X², which is 330 multiplications and not 420.
func square() {
	kernel("kernelSquare", "kernelSquare sets the 40 columns at DI to the square of the 20 digits at SI; it writes to the 20 vectors at CX.")
	digit := span(digits, half)
	free := zs(30, 31)
	load := func(base reg.Register, first int) {
		for i, r := range digit {
			VMOVDQA64(at(base, first+i), r)
		}
	}
	store := func(base reg.Register, first int) func(int) script {
		return func(c int) script { return script{func() { VMOVDQA64(z(c), at(base, first+c)) }} }
	}

	load(reg.RSI, 0)
	squareTen(digit, halvesDifference(digit, free), store(reg.RDI, 0))
	load(reg.RSI, half)
	squareTen(digit, nil, func(c int) script {
		if c < half {
			return store(reg.RCX, half)(c)
		}
		return store(reg.RDI, digits)(c)
	})

	// Beside (l-h)²: what it is subtracted from. A negative difference is its digits
	// less X, so that its square is theirs, less twice them times X, plus X².
	load(reg.RCX, 0)
	var sum script
	for i := range half {
		r, t := free[0], free[1]
		sum.do(
			func() { VMOVDQA64(at(reg.RDI, half+i), r) },
			func() { VPADDQ(at(reg.RCX, half+i), r, r) },
			func() { VPADDQ(at(reg.RDI, i), r, t) },
			func() { VMOVDQA64(t, at(reg.RDI, half+i)) },
			func() { VPADDQ(at(reg.RDI, digits+half+i), r, r) },
			func() { VPADDQ(digit[i], r, reg.K1, r) },
			func() { VPADDQ(digit[i], r, reg.K1, r) },
			func() { VMOVDQA64(r, at(reg.RDI, digits+i)) })
		if i == 0 {
			sum.do(
				func() { VMOVDQA64(at(reg.RDI, digits+half), r) },
				func() { VPSUBQ_BCST(one(), r, reg.K1, r) },
				func() { VMOVDQA64(r, at(reg.RDI, digits+half)) })
		}
	}
	squareTen(digit, sum, func(c int) script {
		r, t := free[c/2%2], at(reg.RDI, half+c)
		return script{
			func() { VMOVDQA64(t, r) },
			func() { VPSUBQ(z(c), r, r) },
			func() { VMOVDQA64(r, t) },
		}
	})
	RET()
}

// halvesDifference leaves the digits of l-h at CX and its sign in K1, where the
// digits of l are in registers.
func halvesDifference(digit, free registers) script {
	var s script
	for i, l := range digit {
		r, before := free[i%2], free[(i+1)%2]
		s.do(func() { VPSUBQ(at(reg.RSI, half+i), l, r) })
		if i > 0 {
			s.do(func() { VPADDQ(before, r, r) })
		}
		s.do(
			func() { VPANDQ_BCST(mask(), r, before) },
			func() { VMOVDQA64(before, at(reg.RCX, i)) },
			func() { VPSRAQ(U8(radix), r, r) })
	}
	s.do(func() { VPMOVQ2M(free[(half-1)%2], reg.K1) })
	return s
}

// squareTen squares ten digits into Z0 to Z19. The products of different digits come
// first, those of digits far from each other before those of neighbours, so that
// no multiplication waits for the one before it; they are doubled, and the squares
// of the digits added. side is written beside them, and behind a column what is
// done with it when it is complete.
func squareTen(digit registers, side script, done func(c int) script) {
	begun := map[int]bool{}
	column := func(c int) reg.VecPhysical {
		if !begun[c] {
			zero(0, z(c))
		}
		begun[c] = true
		return z(c)
	}
	low := func(i, j int) func() { return func() { VPMADD52LUQ(digit[i], digit[j], column(i+j)) } }
	high := func(i, j int) func() { return func() { VPMADD52HUQ(digit[i], digit[j], column(i+j+1)) } }
	double := func(c int) func() { return func() { VPADDQ(z(c), z(c), z(c)) } }

	var far, odd, squares script
	for distance := half - 1; distance > 0; distance-- {
		for i := range half - distance {
			far.do(low(i, i+distance))
		}
		for i := range half - distance {
			if distance > 1 {
				far.do(high(i, i+distance))
				continue
			}
			odd.do(high(i, i+1), double(2*i+1))
		}
	}
	for i := range half {
		squares.do(high(i, i))
		if i > 0 {
			squares.do(double(2 * i))
		}
	}
	weave(far, side)
	weave(odd, nil)
	weave(squares, nil)
	for i := range half {
		low(i, i)()
		for _, instruction := range done(2*i + 1) {
			instruction()
		}
	}
	for i := range half {
		for _, instruction := range done(2 * i) {
			instruction()
		}
	}
}
