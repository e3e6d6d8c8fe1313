// Command gen writes the kernels of package multibuffer: one function for each
// operation on lanes, unrolled, with the accumulators in registers. The kernels
// call nothing, use no stack, take their operands' addresses in DI, SI, DX and
// CX and a number in R8, the scratch in R11, and change no other general register but AX, so that
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
	ConstData("mask52", U64(1<<radix-1))
	ConstData("one", U64(1))
	products()
	square()
	reduce()
	settle()
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

func zero(_ int, r reg.VecPhysical) { VPXORQ(r, r, r) }

// mask and one are constants in memory, one for all lanes.
func mask() Mem { return NewDataAddr(NewStaticSymbol("mask52"), 0) }
func one() Mem  { return NewDataAddr(NewStaticSymbol("one"), 0) }

// mask52 leaves 2^52-1 in every lane of r.
func mask52(r reg.VecPhysical) {
	VPTERNLOGQ(U8(0xff), r, r, r)
	VPSRLQ(U8(64-radix), r, r)
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
