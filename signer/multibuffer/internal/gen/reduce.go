package main

import (
	. "github.com/mmcloughlin/avo/build"   //nolint:revive,staticcheck // avo's own way to read like assembly
	. "github.com/mmcloughlin/avo/operand" //nolint:revive,staticcheck // likewise
	"github.com/mmcloughlin/avo/reg"
)

// A modulus m as reduce takes it, in vectors: 20 digits, -1/m mod 2^52, the
// difference of its upper ten digits' halves and that difference's sign; then the
// 20 digits of 1/2^520 mod m, and differences and signs of both their halves.
const (
	inverseAt    = digits
	differenceAt = inverseAt + 1
	foldAt       = differenceAt + quarter + 1
	foldLowAt    = foldAt + digits
	foldHighAt   = foldLowAt + quarter + 1
)

var (
	upper    = constant{half, differenceAt, reg.K2}
	foldLow  = constant{foldAt, foldLowAt, reg.K3}
	foldHigh = constant{foldAt + half, foldHighAt, reg.K4}
)

func (c constant) readSign(free reg.VecPhysical) {
	VMOVDQA64(at(reg.RDX, c.difference+quarter), free)
	VPMOVQ2M(free, c.negative)
}

func reduce() {
	kernel("kernelReduce", "kernelReduce divides the 40 columns at SI, which it overwrites, by 2^1040 modulo the modulus at DX, and sets the 20 columns at DI to that. "+
		"It writes to the 10 vectors at CX. On the way it carries through the 20 columns at R11+R8.")
	for i, c := range []constant{upper, foldLow, foldHigh} {
		c.readSign(z(i))
	}
	fold()
	divide(half)
	RET()

	kernel("kernelDivide", "kernelDivide sets the 20 columns at DI to (T + Q·m)/2^520, where T are the 30 columns at SI, "+
		"m the modulus at DX, and Q the 10 digits that make the division exact, which are left at CX. "+
		"On the way it carries through the 20 columns at R11+R8.")
	upper.readSign(z(0))
	divide(0)
	RET()
}

// fold divides the columns by 2^520, and leaves 30 from the tenth on: the lower ten
// digits are multiplied by 1/2^520 mod m. Nothing waits for a quotient, and
// the product of ten by twenty digits is two of Karatsuba's.
func fold() {
	low := span(0, quarter)
	mixed := span(quarter, quarter)
	high := span(2*quarter, quarter)
	factor := span(3*quarter, half) // the lower ten digits
	difference := span(5*quarter, quarter)
	x, t := z(30), z(31)

	var carrying script // through the lower ten
	for c, r := range factor {
		carrying.do(func() { VMOVDQA64(at(reg.RSI, c), r) })
		if c > 0 {
			carrying.do(func() { VPADDQ(t, r, r) })
		}
		carrying.do(
			func() { VPSRAQ(U8(radix), r, t) },
			func() { VPANDQ_BCST(mask(), r, r) })
	}
	carrying.do(
		func() { VPADDQ(at(reg.RSI, half), t, t) },
		func() { VMOVDQA64(t, at(reg.RSI, half)) })
	weave(carrying[:4*quarter], nil)

	var differences script
	for i, d := range difference {
		differences.do(func() { VPSUBQ(factor[quarter+i], factor[i], d) })
		if i > 0 {
			differences.do(func() { VPADDQ(t, d, d) })
		}
		differences.do(
			func() { VPSRAQ(U8(radix), d, t) },
			func() { VPANDQ_BCST(mask(), d, d) })
	}
	differences.do(func() { VPMOVQ2M(t, reg.K1) })

	for part, by := range []constant{foldLow, foldHigh} {
		first := half * (1 + part)
		columns := func(i int) Mem { return at(reg.RSI, first+i) }
		for _, r := range join(low, mixed) {
			zero(0, r)
		}
		var side script
		if part == 0 {
			side = carrying[4*quarter:]
		}
		weave(product5(factor[:quarter], atDX(by.digits), x, join(low, mixed)), side)

		for _, r := range high {
			zero(0, r)
		}
		side = nil
		if part == 0 {
			side = differences
		}
		for i, r := range low {
			side.do(
				func() { VPADDQ(columns(i), r, t) },
				func() { VMOVDQA64(t, columns(i)) })
		}
		weave(product5(factor[quarter:], atDX(by.digits+quarter), x, join(mixed, high)), side)

		m := middle{low, mixed, high, difference, reg.K1, reg.K5, by, x}
		weave(m.begin(), nil)
		weave(m.multiply(), m.correct(func(i int) Mem { return columns(quarter + i) }, 0))
		for i, r := range join(low, mixed, high) {
			VMOVDQA64(r, columns(quarter+i))
		}
	}
}

// divider writes the second half of a reduction, which is Montgomery's: ten digits
// of the quotient, one at a time by the lower ten digits of the modulus. The
// product with its upper ten is Karatsuba's, beside and behind them.
type divider struct {
	first int // of the columns
}

// Registers of a divider: ten columns in a ring, then these.
var (
	quotients = zs(10, 11) // taken in turn
	moduli    = z(12)
	rounding  = z(13)
	lows      = span(14, quarter)
	mixes     = span(19, quarter)
	factors   = span(24, quarter)
	loaded    = z(29)
	scratches = zs(30, 31)
	highs     = zs(10, 11, 12, 13, 30) // when the quotient is known
)

func divide(first int) {
	d := divider{first}
	for c := range half {
		VMOVDQA64(d.at(c), d.column(c))
	}
	var begin script
	d.begin(&begin, 0)
	weave(begin, nil)
	weave(d.rounds(0), settling(loaded, scratches[0]))
	for i, r := range factors {
		VMOVDQA64(at(reg.RCX, i), r)
	}
	for _, r := range join(lows, mixes) {
		zero(0, r)
	}
	weave(d.rounds(quarter), product5(factors, atDX(half), loaded, join(lows, mixes)))
	d.finish()
}

func (d divider) at(c int) Mem { return at(reg.RSI, d.first+c) }

func (divider) column(c int) reg.VecPhysical { return z(c % half) }

// rounds makes the lowest of the columns from one on zero, five times.
func (d divider) rounds(first int) script {
	var s script
	for c := first; c < first+quarter; c++ {
		q, m := quotients[c%2], moduli
		load := func(j int) func() { return func() { VMOVDQA64(at(reg.RDX, j), m) } }
		low := func(j int) func() { return func() { VPMADD52LUQ(m, q, d.column(c+j)) } }
		high := func(j int) func() { return func() { VPMADD52HUQ(m, q, d.column(c+j+1)) } }
		s.do(
			func() { VMOVDQA64(q, at(reg.RCX, c)) },
			// What becomes zero carries its ceiling.
			func() { VPADDQ_BCST(mask(), d.column(c), rounding) },
			func() { VPSRAQ(U8(radix), rounding, rounding) },
			func() { VPADDQ(rounding, d.column(c+1), d.column(c+1)) },
			func() { VMOVDQA64(d.at(c+half), d.column(c+half)) },
			load(0), high(0), load(1), low(1), high(1))
		if c+1 < half {
			d.begin(&s, c+1)
		}
		for j := 2; j < half; j++ {
			s.do(load(j), low(j), high(j))
		}
	}
	return s
}

// begin computes the quotient's digit that makes a column zero.
func (d divider) begin(s *script, c int) {
	q := quotients[c%2]
	s.do(
		func() { VPXORQ(q, q, q) },
		func() { VPMADD52LUQ(at(reg.RDX, inverseAt), d.column(c), q) })
}

// finish is what is left when the quotient is known.
func (d divider) finish() {
	for _, r := range highs {
		zero(0, r)
	}
	// The difference of the quotient's halves, behind it.
	carry, free := scratches[1], lows
	var side script
	for i := range quarter {
		side.do(
			func() { VPADDQ(lows[i], d.column(half+i), d.column(half+i)) },
			func() { VMOVDQA64(d.column(half+i), at(reg.RDI, i)) },
			func() { VPADDQ(d.column(half+quarter+i), lows[i], d.column(half+quarter+i)) })
	}
	for i, r := range free {
		side.do(
			func() { VMOVDQA64(at(reg.RCX, i), r) },
			func() { VPSUBQ(factors[i], r, r) })
		if i > 0 {
			side.do(func() { VPADDQ(carry, r, r) })
		}
		side.do(
			func() { VPSRAQ(U8(radix), r, carry) },
			func() { VPANDQ_BCST(mask(), r, r) })
	}
	side.do(func() { VPMOVQ2M(carry, reg.K1) })
	for i, r := range factors {
		VMOVDQA64(at(reg.RCX, quarter+i), r)
	}
	weave(product5(factors, atDX(half+quarter), loaded, join(mixes, highs)), side)

	var columns registers
	for i := range quarter {
		columns = append(columns, d.column(half+quarter+i))
	}
	m := middle{columns, mixes, highs, free, reg.K1, reg.K5, upper, loaded}
	weave(m.begin(), nil)
	weave(m.multiply(), m.correct(func(i int) Mem { return d.at(half + quarter + i) }, quarter))
	for i, r := range join(columns, mixes, highs) {
		VMOVDQA64(r, at(reg.RDI, quarter+i))
	}
}

func settle() {
	kernel("kernelSettle", "kernelSettle carries through the 20 columns at R11+R8.")
	weave(settling(z(0), z(1)), nil)
	RET()
}

// settling carries through the 20 columns at R11+R8; the last one keeps what is
// above 52 bits.
func settling(r, carry reg.VecPhysical) script {
	var s script
	s.do(func() { LEAQ(Mem{Base: reg.R11, Index: reg.R8, Scale: 1}, reg.RAX) })
	for i := range digits {
		s.do(func() { VMOVDQA64(at(reg.RAX, i), r) })
		if i > 0 {
			s.do(func() { VPADDQ(carry, r, r) })
		}
		if i < digits-1 {
			s.do(
				func() { VPSRAQ(U8(radix), r, carry) },
				func() { VPANDQ_BCST(mask(), r, r) })
		}
		s.do(func() { VMOVDQA64(r, at(reg.RAX, i)) })
	}
	return s
}
