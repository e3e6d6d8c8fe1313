package main

import (
	. "github.com/mmcloughlin/avo/build"   //nolint:revive,staticcheck // avo's own way to read like assembly
	. "github.com/mmcloughlin/avo/operand" //nolint:revive,staticcheck // likewise
	"github.com/mmcloughlin/avo/reg"
)

// The modulus as reduce takes it, in vectors: 20 digits, -1/m mod 2^52, and of
// the difference between the uppermost five digits and the five below them, the
// amount and, in one vector, the sign.
const (
	inverseAt = digits
	amountAt  = inverseAt + 1
	signAt    = amountAt + quarter
)

const (
	half    = digits / 2
	quarter = digits / 4
)

// Registers of reduce: a ring of ten columns, then these. Loads are as scarce as
// multiplications here, so five digits of a factor stay in registers.
const (
	ring     = half
	sums     = ring        // ten columns of a product of five by five digits
	quotient = sums + half // two, taken in turn
	left     = quotient + 2
	right    = left + 1 // five
	spare    = right + quarter
	free     = spare + 1
	inverses = free + 1
	masks    = inverses + 1
)

// reducer writes reduce: Montgomery's reduction, a digit at a time for the lower
// ten digits of the modulus. The ten digits of the quotient that this gives are
// multiplied by the upper ten by Karatsuba's way, beside the next digits:
// with quotient u, v and modulus w, z of five digits each,
// (u + vX)(w + zX) = uw + (uw + vz + (u-v)(z-w))·X + vz·X².
// So it takes 700 multiplications and not 800.
type reducer struct{}

func reduce() {
	kernel("kernelReduce", "kernelReduce sets the 20 digits at DI to (T + Q·m)/2^1040, where T are the 40 columns at SI, which it overwrites, "+
		"m the modulus at DX, and Q the 20 digits that make the division exact, which are left at CX with 5 vectors of scratch behind them. "+
		"The last digit keeps what is above 52 bits.")
	var r reducer
	mask52(z(masks))
	VMOVDQA64(at(reg.RDX, inverseAt), z(inverses))
	VMOVDQA64(at(reg.RDX, signAt), z(free))
	VPMOVQ2M(z(free), reg.K2)
	for c := range ring {
		zero(c, z(c))
	}
	weave(r.rounds(0), nil)
	weave(r.rounds(quarter), r.lower(0))
	weave(r.rounds(half), r.upper(0))
	weave(r.rounds(half+quarter), r.lower(half))
	weave(r.upper(half), nil)
	r.finish()
	RET()
}

func (reducer) column(c int) reg.VecPhysical { return z(c % ring) }

// rounds makes the lowest of the columns from first on zero, five times.
func (r reducer) rounds(first int) script {
	var s script
	r.begin(&s, first)
	for c := first; c < first+quarter; c++ {
		q := z(quotient + c%2)
		m := z(spare)
		load := func(j int) func() { return func() { VMOVDQA64(at(reg.RDX, j), m) } }
		low := func(j int) func() { return func() { VPMADD52LUQ(m, q, r.column(c+j)) } }
		high := func(j int) func() { return func() { VPMADD52HUQ(m, q, r.column(c+j+1)) } }
		s.do(
			func() { VMOVDQA64(q, at(reg.RCX, c)) },
			// What becomes zero carries its ceiling.
			func() { VPADDQ(z(masks), r.column(c), m) },
			func() { VPSRAQ(U8(radix), m, m) },
			func() { VPADDQ(m, r.column(c+1), r.column(c+1)) },
			func() { zero(0, r.column(c+ring)) }, // the column that is done is the next one to come
			load(0), high(0), load(1), low(1), high(1))
		if c+1 < first+quarter {
			r.begin(&s, c+1)
		}
		for j := 2; j < half; j++ {
			s.do(load(j), low(j), high(j))
		}
	}
	return s
}

// begin computes the quotient's digit that makes a column zero.
func (r reducer) begin(s *script, c int) {
	q := z(quotient + c%2)
	s.do(
		func() { VPADDQ(at(reg.RSI, c), r.column(c), r.column(c)) },
		func() { VPXORQ(q, q, q) },
		func() { VPMADD52LUQ(z(inverses), r.column(c), q) })
}

// product5 multiplies five digits by five into the sums. adjust, if any, changes the
// digits of a in their register.
func product5(a, b func(i int) Mem, adjust func()) script {
	var s script
	for c := range 2 * quarter {
		s.do(func() { zero(c, z(sums+c)) })
	}
	for i := range quarter {
		s.do(func() { VMOVDQA64(a(i), z(left)) })
		if adjust != nil {
			s.do(adjust)
		}
		for j := range quarter {
			if i == 0 {
				s.do(func() { VMOVDQA64(b(j), z(right+j)) })
			}
			s.do(
				func() { VPMADD52LUQ(z(left), z(right+j), z(sums+i+j)) },
				func() { VPMADD52HUQ(z(left), z(right+j), z(sums+i+j+1)) })
		}
	}
	return s
}

func (reducer) quotientAt(i int) func(int) Mem {
	return func(j int) Mem { return at(reg.RCX, i+j) }
}

func (reducer) modulusAt(i int) func(int) Mem {
	return func(j int) Mem { return at(reg.RDX, i+j) }
}

// twice adds the sums to the columns from first on, and to those five later.
func (reducer) twice(s *script, first int) {
	for c := range 3 * quarter {
		r, t := z(free), at(reg.RSI, first+c)
		s.do(func() { VMOVDQA64(t, r) })
		if c < 2*quarter {
			s.do(func() { VPADDQ(z(sums+c), r, r) })
		}
		if c >= quarter {
			s.do(func() { VPADDQ(z(sums+c-quarter), r, r) })
		}
		s.do(func() { VMOVDQA64(r, t) })
	}
}

// lower adds uw for the quotient's digits from first on.
func (r reducer) lower(first int) script {
	s := product5(r.quotientAt(first), r.modulusAt(half), nil)
	r.twice(&s, first+half)
	return s
}

// upper adds vz and (u-v)(z-w); of the upper half, it leaves the latter to finish.
func (r reducer) upper(first int) script {
	const scratch = digits
	var s script
	difference := func(i int) reg.VecPhysical { return [...]reg.VecPhysical{z(free), z(left)}[i%2] }
	for i := range quarter {
		d, before := difference(i), difference(i+1)
		s.do(
			func() { VMOVDQA64(at(reg.RCX, first+i), d) },
			func() { VPSUBQ(at(reg.RCX, first+quarter+i), d, d) })
		if i > 0 {
			s.do(
				func() { VPSRAQ(U8(radix), before, before) },
				func() { VPADDQ(before, d, d) })
		}
		s.do(func() { VMOVDQA64(d, at(reg.RCX, scratch+i)) })
	}
	s.do(
		func() { VPMOVQ2M(difference(quarter-1), reg.K1) },
		func() { KXORB(reg.K1, reg.K2, reg.K3) }, // the product is to be subtracted
		func() { KNOTB(reg.K3, reg.K4) })
	s.do(product5(r.quotientAt(first+quarter), r.modulusAt(half+quarter), nil)...)
	r.twice(&s, first+half+quarter)
	// The amount of u-v, less one where it was negative.
	s.do(product5(r.quotientAt(scratch), r.modulusAt(amountAt), func() {
		VPTERNLOGQ(U8(0x55), z(left), z(left), reg.K1, z(left)) // not
	})...)
	for c := range quarter {
		s.do(func() { VPADDQ(at(reg.RDX, amountAt+c), z(sums+c), reg.K1, z(sums+c)) })
	}
	if first == half { // finish adds the rest
		return s
	}
	for c := range 2 * quarter {
		f, t := z(free), at(reg.RSI, first+half+quarter+c)
		s.do(
			func() { VMOVDQA64(t, f) },
			func() { VPADDQ(z(sums+c), f, reg.K4, f) },
			func() { VPSUBQ(z(sums+c), f, reg.K3, f) },
			func() { VMOVDQA64(f, t) })
	}
	return s
}

// finish carries through the columns that are left.
func (r reducer) finish() {
	carry, mask := z(spare), z(masks)
	for j := range digits {
		c := digits + j
		v := z(right + j%4)
		VMOVDQA64(at(reg.RSI, c), v)
		if j < half {
			VPADDQ(r.column(c), v, v)
		}
		if p := j - quarter; p >= 0 && p < 2*quarter {
			VPADDQ(z(sums+p), v, reg.K4, v)
			VPSUBQ(z(sums+p), v, reg.K3, v)
		}
		if j > 0 {
			VPADDQ(carry, v, v)
		}
		if j < digits-1 {
			VPSRAQ(U8(radix), v, carry)
			VPANDQ(mask, v, v)
		}
		VMOVDQA64(v, at(reg.RDI, j))
	}
}
