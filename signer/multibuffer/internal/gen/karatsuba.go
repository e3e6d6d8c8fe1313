package main

import (
	. "github.com/mmcloughlin/avo/build"   //nolint:revive,staticcheck // avo's own way to read like assembly
	. "github.com/mmcloughlin/avo/operand" //nolint:revive,staticcheck // likewise
	"github.com/mmcloughlin/avo/reg"
)

const (
	half    = digits / 2
	quarter = digits / 4
)

// constant is a number of twenty digits or ten that a key brings, in the scratch at
// DX: where its digits are, and where the difference between the upper five and
// the lower five is, in two's complement, and the mask register with its sign.
type constant struct {
	digits, difference int
	negative           reg.OpmaskPhysical
}

// registers are some, by index.
type registers []reg.VecPhysical

func zs(numbers ...int) registers {
	var r registers
	for _, n := range numbers {
		r = append(r, z(n))
	}
	return r
}

func span(first, n int) registers {
	var r registers
	for i := range n {
		r = append(r, z(first+i))
	}
	return r
}

func join(parts ...registers) registers {
	var r registers
	for _, p := range parts {
		r = append(r, p...)
	}
	return r
}

// product5 adds five digits in registers times five in memory to ten columns. The
// multiplications of a row stand so that none waits for the one before it.
func product5(a registers, b func(j int) Mem, x reg.VecPhysical, columns registers) script {
	var s script
	for j := range quarter {
		s.do(func() { VMOVDQA64(b(j), x) })
		for i := range quarter {
			s.do(func() { VPMADD52LUQ(x, a[i], columns[i+j]) })
		}
		for i := range quarter {
			s.do(func() { VPMADD52HUQ(x, a[i], columns[i+j+1]) })
		}
	}
	return s
}

// atDX returns where the digits of what is at DX are, from one on.
func atDX(first int) func(int) Mem {
	return func(j int) Mem { return at(reg.RDX, first+j) }
}

// middle is the rest of Karatsuba's product when the products of the lower and the
// upper halves are there: low is the lower five columns of the lower one, mixed
// the sum of what of both falls together, high the upper five of the upper one. It
// leaves in low and mixed the ten columns in the middle of all twenty, and in high
// the uppermost.
type middle struct {
	low, mixed, high registers
	difference       registers // of the other factor's halves, in two's complement
	negative         reg.OpmaskPhysical
	both             reg.OpmaskPhysical // to be had
	by               constant
	x                reg.VecPhysical
}

// begin must be written before the multiplications.
func (m middle) begin() script {
	var s script
	for i := range quarter {
		s.do(func() { VPADDQ(m.mixed[i], m.low[i], m.low[i]) })
	}
	for i := range quarter {
		s.do(func() { VPADDQ(m.high[i], m.mixed[i], m.mixed[i]) })
	}
	return s
}

// multiply are the multiplications.
func (m middle) multiply() script {
	return product5(m.difference, atDX(m.by.difference), m.x, join(m.low, m.mixed))
}

// correct goes beside them. It takes a negative factor for what it is, not for
// its digits, and adds other columns to the fifteen, from one on.
func (m middle) correct(columns func(i int) Mem, from int) script {
	var s script
	add := func(i int, r reg.VecPhysical) {
		if i >= from {
			s.do(func() { VPADDQ(columns(i), r, r) })
		}
	}
	s.do(
		func() { KANDB(m.negative, m.by.negative, m.both) },
		func() { VPADDQ_BCST(one(), m.high[0], m.both, m.high[0]) })
	for i := range quarter {
		add(i, m.low[i])
		add(quarter+i, m.mixed[i])
		add(2*quarter+i, m.high[i])
		s.do(
			func() { VPSUBQ(at(reg.RDX, m.by.difference+i), m.mixed[i], m.negative, m.mixed[i]) },
			func() { VPSUBQ(m.difference[i], m.mixed[i], m.by.negative, m.mixed[i]) })
	}
	return s
}
