package main

import (
	. "github.com/mmcloughlin/avo/build"   //nolint:revive,staticcheck // avo's own way to read like assembly
	. "github.com/mmcloughlin/avo/operand" //nolint:revive,staticcheck // likewise
	"github.com/mmcloughlin/avo/reg"
)

// A picked product has what it needs around its columns and its table: behind the
// 40 columns room for the differences, the digits of the factor that was selected,
// and the table, of the next digits to select.
const (
	differencesAt = 2 * digits
	selectedAt    = differencesAt + digits
	fromTable     = -digits // the selected digits
)

// multiplier writes products by Karatsuba's way: with halves l, h and l', h' of ten
// digits, a·b = ll' + (ll' + hh' + (l-h)(h'-l'))·X + hh'·X², which is 600
// multiplications and not 800.
type multiplier struct {
	b           func(i int) Mem // the second factor
	scratch     func(i int) Mem // twenty vectors, or thirty if it accumulates
	accumulates bool
}

// Registers of a multiplier behind the twenty columns.
var (
	fives   = span(digits, quarter)
	single  = z(25)
	chained = zs(26, 27)
	tree    = span(28, window)
)

func factorA(i int) Mem { return at(reg.RSI, i) }

func products() {
	behind := func(base reg.Register, first int) func(int) Mem {
		return func(i int) Mem { return at(base, first+i) }
	}
	kernel("kernelProduct", "kernelProduct sets the 40 columns at DI to the 20 digits at SI times those at DX; it writes to the 20 vectors at CX.")
	multiplier{behind(reg.RDX, 0), behind(reg.RCX, 0), false}.write(nil)

	kernel("kernelAccumulate", "kernelAccumulate adds the 20 digits at SI times those at DX to the 40 columns at DI; it writes to the 30 vectors at CX.")
	multiplier{behind(reg.RDX, 0), behind(reg.RCX, 0), true}.write(nil)

	kernel("kernelProductPick", "kernelProductPick sets the 40 columns at DI to the 20 digits at SI times those 60 vectors behind DI; it writes to the 20 before these. "+
		"On the way it sets the 20 digits before DX to the entry of the table at DX that the four bits at R8 of the digit at CX name, in each lane its own. It reads all of the table.")
	multiplier{behind(reg.RDI, selectedAt), behind(reg.RDI, differencesAt), false}.write(selection())
}

// write writes the product, and side beside it.
func (m multiplier) write(side script) {
	lower, upper := span(0, half), span(half, half)
	third := len(side) / 3
	secondA := func(i int) Mem { return factorA(half + i) }
	secondB := func(i int) Mem { return m.b(half + i) }

	// hh', whose upper columns are put aside.
	differences := m.difference(0, factorA, secondA, reg.K5)
	differences.do(m.difference(half, secondB, m.b, reg.K6)...)
	weave(tens(secondA, secondB, join(lower, upper), digits), merge(differences, side[:third]))
	for i, r := range upper {
		VMOVDQA64(r, m.aside(i))
		if m.accumulates {
			m.store(r, digits+half+i)
		}
	}
	// ll', on top of what is left.
	weave(tens(factorA, m.b, join(upper, lower), half), side[third:2*third])
	for i, r := range upper {
		VMOVDQA64(r, single)
		m.store(single, i)
	}
	for i, r := range upper {
		VPADDQ(lower[i], r, r)
	}
	difference := func(i int) Mem { return m.scratch(half + i) }
	weave(tens(m.scratch, difference, join(upper, lower), 0), merge(m.correct(lower), side[2*third:]))
	for i, r := range join(upper, lower) {
		m.store(r, half+i)
	}
	RET()
}

// aside returns where a column of hh' waits.
func (m multiplier) aside(i int) Mem {
	if m.accumulates {
		return m.scratch(digits + i)
	}
	return at(reg.RDI, digits+half+i)
}

// store writes a column, or adds it.
func (m multiplier) store(r reg.VecPhysical, c int) {
	if m.accumulates {
		VPADDQ(at(reg.RDI, c), r, r)
	}
	VMOVDQA64(r, at(reg.RDI, c))
}

// difference leaves the digits of the difference of ten digits and ten others in the
// scratch, and its sign in a mask.
func (m multiplier) difference(first int, x, y func(int) Mem, negative reg.OpmaskPhysical) script {
	r, carry := chained[0], chained[1]
	var s script
	for i := range half {
		s.do(
			func() { VMOVDQA64(x(i), r) },
			func() { VPSUBQ(y(i), r, r) })
		if i > 0 {
			s.do(func() { VPADDQ(carry, r, r) })
		}
		s.do(
			func() { VPSRAQ(U8(radix), r, carry) },
			func() { VPANDQ_BCST(mask(), r, r) },
			func() { VMOVDQA64(r, m.scratch(first+i)) })
	}
	s.do(func() { VPMOVQ2M(carry, negative) })
	return s
}

// correct adds what was put aside to the ten columns above the middle, and takes
// negative differences for what they are, not for their digits.
func (m multiplier) correct(columns registers) script {
	both, top := reg.K7, chained[0]
	var s script
	s.do(
		func() { KANDB(reg.K5, reg.K6, both) },
		func() { VMOVDQA64(at(reg.RDI, digits+half), top) })
	for i, r := range columns {
		s.do(
			func() { VPADDQ(m.aside(i), r, r) },
			func() { VPSUBQ(m.scratch(i), r, reg.K6, r) },
			func() { VPSUBQ(m.scratch(half+i), r, reg.K5, r) })
	}
	s.do(
		func() { VPADDQ_BCST(one(), top, both, top) },
		func() { VMOVDQA64(top, at(reg.RDI, digits+half)) })
	return s
}

// tens adds ten digits times ten to twenty columns, of which so many are fresh: they
// are nothing before.
func tens(a, b func(i int) Mem, columns registers, fresh int) script {
	begun := map[int]bool{}
	column := func(c int) reg.VecPhysical {
		if !begun[c] && c < fresh {
			zero(0, columns[c])
		}
		begun[c] = true
		return columns[c]
	}
	var s script
	for first := 0; first < half; first += quarter {
		for i, r := range fives {
			s.do(func() { VMOVDQA64(a(first+i), r) })
		}
		for j := range half {
			s.do(func() { VMOVDQA64(b(j), single) })
			for i, r := range fives {
				s.do(func() { VPMADD52LUQ(single, r, column(first+i+j)) })
			}
			for i, r := range fives {
				s.do(func() { VPMADD52HUQ(single, r, column(first+i+j+1)) })
			}
		}
	}
	return s
}

var numberBits = [window]reg.OpmaskPhysical{reg.K1, reg.K2, reg.K3, reg.K4}

// selection reads the number of the entry in each lane into masks, and selects the
// digits by masks only: a tree of blends, the lowest bit of the number first.
func selection() script {
	shift, number, bit := reg.X31, z(30), z(29)
	VMOVQ(reg.R8, shift)
	VMOVDQA64(at(reg.RCX, 0), number)
	VPSRLQ(shift, number, number)
	MOVL(U32(1), reg.EAX)
	VPBROADCASTQ(reg.RAX, bit)
	for i, k := range numberBits {
		VPTESTMQ(bit, number, k)
		if i < len(numberBits)-1 {
			VPADDQ(bit, bit, bit)
		}
	}
	var s script
	for digit := range digits {
		choose(&s, digit*entries, window, tree)
		s.do(func() { VMOVDQA64(tree[0], at(reg.RDX, fromTable+digit)) })
	}
	return s
}

// choose selects among 2^levels vectors of the table into the first of the registers.
func choose(s *script, first, levels int, into registers) {
	k, middle := numberBits[levels-1], first+1<<(levels-1)
	if levels == 1 {
		s.do(
			func() { VMOVDQA64(at(reg.RDX, first), into[0]) },
			func() { VMOVDQA64(at(reg.RDX, middle), k, into[0]) })
		return
	}
	choose(s, first, levels-1, into)
	choose(s, middle, levels-1, into[1:])
	s.do(func() { VMOVDQA64(into[1], k, into[0]) })
}
