// Command gen writes the kernels of package multibuffer: one function for each
// operation on lanes, unrolled, with the accumulators in registers. The kernels
// call nothing, use no stack, take their operands' addresses in DI, SI, DX and
// CX and a number in R8, and change no other general register but AX, so that
// the driver (driver_amd64.s) may be called from Go and from C alike.
package main

import (
	. "github.com/mmcloughlin/avo/build"   //nolint:revive,staticcheck // avo's own way to read like assembly
	. "github.com/mmcloughlin/avo/operand" //nolint:revive,staticcheck // likewise
	"github.com/mmcloughlin/avo/reg"
)

const (
	digits = 20 // of an operand
	vector = 64 // bytes: one digit of eight lanes
	radix  = 52 // bits of a digit
	window = 4  // bits of an exponent's window
	// entries of a table stand side by side, digit by digit.
	entries = 1 << window
)

func main() {
	ConstraintExpr("amd64")
	product("kernelProduct", "kernelProduct sets the 40 columns at DI to the 20 digits at SI times those at DX.", false, false)
	product("kernelAccumulate", "kernelAccumulate adds the 20 digits at SI times those at DX to the 40 columns at DI.", true, false)
	product("kernelProductPick", "kernelProductPick sets the 40 columns at DI to the 20 digits at SI times the entry of the table at DX "+
		"that the four bits at R8 of the digit at CX name, in each lane its own. It reads all of the table.", false, true)
	square()
	reduce()
	add()
	subtract()
	put()
	carry()
	trim()
	Generate()
}

// kernel begins a function.
func kernel(name, doc string) {
	TEXT(name, NOSPLIT|NOFRAME, "func()")
	Doc(doc)
}

// z returns a vector register by its number.
func z(n int) reg.VecPhysical {
	return [...]reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}[n]
}

// at returns the vector at an index from a base.
func at(base reg.Register, index int) Mem { return Mem{Base: base, Disp: index * vector} }

// file is a window of columns that slides over a ring of registers.
type file struct {
	first, size int
	fresh       func(column int, r reg.VecPhysical) // brings a column's first value; nil: nothing to bring
	begun       map[int]bool
}

func newFile(first, size int, fresh func(int, reg.VecPhysical)) *file {
	return &file{first, size, fresh, make(map[int]bool)}
}

// column returns the register of a column and brings it there at its first use.
func (f *file) column(c int) reg.VecPhysical {
	r := z(f.first + c%f.size)
	if !f.begun[c] {
		f.begun[c] = true
		f.fresh(c, r)
	}
	return r
}

func zero(_ int, r reg.VecPhysical) { VPXORQ(r, r, r) }

// mask52 leaves 2^52-1 in every lane of r.
func mask52(r reg.VecPhysical) {
	VPTERNLOGQ(U8(0xff), r, r, r)
	VPSRLQ(U8(64-radix), r, r)
}

// product multiplies by two digits of the second operand at a time, so that
// each digit of the first is loaded ten times.
func product(name, doc string, accumulates, picks bool) {
	kernel(name, doc)
	fresh := zero
	if accumulates {
		fresh = func(c int, r reg.VecPhysical) { VMOVDQA64(at(reg.RDI, c), r) }
	}
	const ring = digits + 2
	f := newFile(0, ring, fresh)
	var p *picker
	if picks {
		p = newPicker()
		p.all(0, z(22))
		p.all(1, z(23))
	}
	for i := 0; i < digits; i += 2 {
		b0, b1 := z(22), z(23)
		if picks {
			b0, b1 = p.turn(i)
		} else {
			VMOVDQA64(at(reg.RDX, i), b0)
			VMOVDQA64(at(reg.RDX, i+1), b1)
		}
		for j := range digits {
			a := z(26 + j%2)
			VMOVDQA64(at(reg.RSI, j), a)
			VPMADD52LUQ(b0, a, f.column(i+j))
			if j < 2 { // complete
				VMOVDQA64(f.column(i+j), at(reg.RDI, i+j))
			}
			VPMADD52HUQ(b0, a, f.column(i+j+1))
			VPMADD52LUQ(b1, a, f.column(i+j+1))
			VPMADD52HUQ(b1, a, f.column(i+j+2))
			if picks {
				p.some(3)
			}
		}
	}
	for c := digits; c < 2*digits; c++ {
		VMOVDQA64(f.column(c), at(reg.RDI, c))
	}
	RET()
}

// picker selects digits of a table's entry, by masks only: a tree of blends,
// the lowest bit of the number first.
type picker struct {
	pending []func()
}

var bits = [window]reg.OpmaskPhysical{reg.K1, reg.K2, reg.K3, reg.K4}

// newPicker reads the number of the entry in each lane into the masks.
func newPicker() *picker {
	shift, number, bit := reg.X31, z(30), z(29)
	VMOVQ(reg.R8, shift)
	VMOVDQA64(at(reg.RCX, 0), number)
	VPSRLQ(shift, number, number)
	MOVL(U32(1), reg.EAX)
	VPBROADCASTQ(reg.RAX, bit)
	for i, k := range bits {
		VPTESTMQ(bit, number, k)
		if i < len(bits)-1 {
			VPADDQ(bit, bit, bit)
		}
	}
	return &picker{}
}

// all selects a digit at once.
func (p *picker) all(digit int, into reg.VecPhysical) {
	p.tree(digit, 0, window, into, 28)
	p.some(len(p.pending))
}

// turn returns where two digits are, which it completes, and makes the selection
// of the next two pending.
func (p *picker) turn(digit int) (b0, b1 reg.VecPhysical) {
	p.some(len(p.pending))
	here, next := 22, 24
	if digit%4 == 2 {
		here, next = next, here
	}
	if digit+2 < digits {
		p.tree(digit+2, 0, window, z(next), 28)
		p.tree(digit+3, 0, window, z(next+1), 28)
	}
	return z(here), z(here + 1)
}

// tree selects among 2^levels entries from the first one on; the registers from
// spare on are free.
func (p *picker) tree(digit, first, levels int, into reg.VecPhysical, spare int) {
	k := bits[levels-1]
	half := 1 << (levels - 1)
	if levels == 1 {
		p.pending = append(p.pending,
			func() { VMOVDQA64(at(reg.RDX, digit*entries+first), into) },
			func() { VMOVDQA64(at(reg.RDX, digit*entries+first+half), k, into) })
		return
	}
	p.tree(digit, first, levels-1, into, spare)
	p.tree(digit, first+half, levels-1, z(spare), spare+1)
	p.pending = append(p.pending, func() { VMOVDQA64(z(spare), k, into) })
}

// some emits the next so many pending instructions.
func (p *picker) some(n int) {
	n = min(n, len(p.pending))
	for _, emit := range p.pending[:n] {
		emit()
	}
	p.pending = p.pending[n:]
}

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
	const half = digits / 2
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

	// Beside h²: where the difference is negative, its amount less one.
	amount := script{func() { VPMOVQ2M(free(half-1), reg.K1) }}
	for i := range half {
		amount.do(
			func() { VMOVDQA64(at(reg.RCX, i), free(i)) },
			func() { VPTERNLOGQ(U8(0x55), free(i), free(i), reg.K1, free(i)) }, // not
			func() { VMOVDQA64(free(i), at(reg.RCX, i)) })
	}
	load(reg.RSI, half)
	weave(squareHalf(digit), amount)
	store(digits)

	// Beside (l-h)²: what it is subtracted from.
	var sum script
	load(reg.RCX, 0)
	for c := range digits {
		sum.do(
			func() { VMOVDQA64(at(reg.RDI, c), free(c)) },
			func() { VPADDQ(at(reg.RDI, digits+c), free(c), free(c)) },
			func() { VPADDQ(at(reg.RDI, half+c), free(c), free(c)) },
			func() { VMOVDQA64(free(c), at(reg.RCX, c)) })
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
	const half = digits / 2
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

// reduce is Montgomery's reduction, a digit at a time. What a round needs of the
// round before is computed first.
func reduce() {
	kernel("kernelReduce", "kernelReduce sets the 20 digits at DI to (T + Q·m)/2^1040, where T are the 40 columns at SI, m the 20 digits at DX "+
		"with -1/m mod 2^52 behind them, and Q the 20 digits that make the division exact, which are left at CX. "+
		"The last digit keeps what is above 52 bits.")
	f := newFile(0, digits+1, func(c int, r reg.VecPhysical) { VMOVDQA64(at(reg.RSI, c), r) })
	mask, inverse, carry := z(31), z(30), z(29)
	mask52(mask)
	VMOVDQA64(at(reg.RDX, digits), inverse)
	m := func(j int) reg.VecPhysical { return z(23 + j%4) }
	q := func(i int) reg.VecPhysical { return z(21 + i%2) }
	quotient := func(i int) {
		VPXORQ(q(i), q(i), q(i))
		VPMADD52LUQ(inverse, f.column(i), q(i))
	}
	quotient(0)
	for i := range digits {
		VMOVDQA64(q(i), at(reg.RCX, i))
		// The lowest digit becomes zero; its carry is the ceiling.
		VPADDQ(mask, f.column(i), carry)
		VPSRAQ(U8(radix), carry, carry)
		VMOVDQA64(at(reg.RDX, 0), m(0))
		VPMADD52HUQ(m(0), q(i), f.column(i+1))
		VMOVDQA64(at(reg.RDX, 1), m(1))
		VPMADD52LUQ(m(1), q(i), f.column(i+1))
		VPADDQ(carry, f.column(i+1), f.column(i+1))
		VPMADD52HUQ(m(1), q(i), f.column(i+2))
		if i+1 < digits {
			quotient(i + 1)
		}
		for j := 2; j < digits; j++ {
			VMOVDQA64(at(reg.RDX, j), m(j))
			VPMADD52LUQ(m(j), q(i), f.column(i+j))
			VPMADD52HUQ(m(j), q(i), f.column(i+j+1))
		}
	}
	for j := range digits {
		r := f.column(digits + j)
		if j == digits-1 {
			VMOVDQA64(r, at(reg.RDI, j))
			break
		}
		VPSRAQ(U8(radix), r, carry)
		VPADDQ(carry, f.column(digits+j+1), f.column(digits+j+1))
		VPANDQ(mask, r, r)
		VMOVDQA64(r, at(reg.RDI, j))
	}
	RET()
}

// normalize emits the carrying of n columns that load brings into a register
// one by one, and stores the digits; the last one keeps what is above 52 bits.
func normalize(n int, load func(i int, r reg.VecPhysical)) {
	mask, carry := z(31), z(30)
	mask52(mask)
	VPXORQ(carry, carry, carry)
	for i := range n {
		r := z(i % 4)
		load(i, r)
		VPADDQ(carry, r, r)
		if i < n-1 {
			VPSRAQ(U8(radix), r, carry)
			VPANDQ(mask, r, r)
		}
		VMOVDQA64(r, at(reg.RDI, i))
	}
	RET()
}

func add() {
	kernel("kernelAdd", "kernelAdd sets the 20 digits at DI to the sum of those at SI and DX.")
	normalize(digits, func(i int, r reg.VecPhysical) {
		VMOVDQA64(at(reg.RSI, i), r)
		VPADDQ(at(reg.RDX, i), r, r)
	})
}

func subtract() {
	kernel("kernelSubtract", "kernelSubtract sets the 20 digits at DI to those at SI, minus those at DX, plus twice those at CX: not less than nothing.")
	normalize(digits, func(i int, r reg.VecPhysical) {
		c := z(8 + i%4)
		VMOVDQA64(at(reg.RCX, i), c)
		VPADDQ(c, c, c)
		VPADDQ(at(reg.RSI, i), c, c)
		VPSUBQ(at(reg.RDX, i), c, r)
	})
}

func carry() {
	kernel("kernelCarry", "kernelCarry sets the 40 digits at DI to the value of the 40 columns at SI.")
	normalize(2*digits, func(i int, r reg.VecPhysical) { VMOVDQA64(at(reg.RSI, i), r) })
}

func put() {
	kernel("kernelPut", "kernelPut copies the 20 digits at SI to DI, where they stand R8 bytes apart.")
	for i := range digits {
		r := z(i % 8)
		VMOVDQA64(at(reg.RSI, i), r)
		VMOVDQA64(r, Mem{Base: reg.RDI})
		ADDQ(reg.R8, reg.RDI)
	}
	RET()
}

func trim() {
	kernel("kernelTrim", "kernelTrim sets the 40 digits at DI to those at SI, less those at DX if they are not smaller; it writes to the 40 at CX.")
	mask, borrow := z(31), z(30)
	mask52(mask)
	VPXORQ(borrow, borrow, borrow)
	for i := range 2 * digits {
		r := z(i % 4)
		VMOVDQA64(at(reg.RSI, i), r)
		VPSUBQ(at(reg.RDX, i), r, r)
		VPADDQ(borrow, r, r)
		VPSRAQ(U8(radix), r, borrow)
		VPANDQ(mask, r, r)
		VMOVDQA64(r, at(reg.RCX, i))
	}
	VPMOVQ2M(borrow, reg.K1) // set where it is smaller
	for i := range 2 * digits {
		r := z(i % 4)
		VMOVDQA64(at(reg.RCX, i), r)
		VMOVDQA64(at(reg.RSI, i), reg.K1, r)
		VMOVDQA64(r, at(reg.RDI, i))
	}
	RET()
}
