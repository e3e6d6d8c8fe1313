package multibuffer

import "unsafe"

// The kernels by number. driver_amd64.s has them in this order, and portable.go
// says the same in Go.
const (
	opProduct uint32 = iota
	opAccumulate
	opProductPick
	opSquare
	opReduce
	opDivide
	opSettle
	opAdd
	opSubtract
	opPut
	opCarry
	opTrim
)

// Sizes of what the kernels work on.
const (
	Lanes   = 8  // signatures that are computed together
	digits  = 20 // of an operand of 1024 bits
	radix   = 52 // bits of a digit
	window  = 4  // bits of an exponent's window
	entries = 1 << window

	windows       = (1024 + window - 1) / window
	windowsInWord = 13 // of an exponent
	exponentSize  = (windows + windowsInWord - 1) / windowsInWord
	vectorBytes   = Lanes * 8
)

// step is one call of a kernel: which, a number, and where its operands are in
// the scratch, in bytes. The driver knows this layout.
type step struct {
	op, number   uint32
	dst, a, b, c uint32
}

const _ = uint(24-unsafe.Sizeof(step{})) + uint(unsafe.Sizeof(step{})-24) // it is 24 bytes long

// selectedAt is where a picked product's factor is, from its columns on.
const selectedAt = 3 * digits

// place is a vector's position in the scratch.
type place uint32

// plus returns the place so many vectors later.
func (p place) plus(vectors int) place { return p + place(vectors) } //nolint:gosec // the scratch has a thousand vectors

func (p place) bytes() uint32 { return uint32(p) * vectorBytes }

// prime is an exponentiation modulo one of the two primes.
type prime struct {
	modulus  place // p as reduce takes it
	squared  place // R² mod p
	exponent place

	columns  place // 40
	scratch  place // 20, behind the columns
	selected place // 20 digits of the table's entry, behind the scratch and before the table
	table    place
	base     place
	power    place // 20 digits, and 20 of 0 behind them
	residue  place // the signature mod the prime
}

// layout says where everything is in the scratch. What a key brings comes first.
type layout struct {
	p, q     prime
	inverse  place // 1/q mod p, times R
	modulus  place // n: the lower 20 digits as divide takes them, then the upper 20
	squared  place // R² mod n, R = 2^2080: 40 digits
	encoded  place // the encoded message: 40 digits
	ones     place // 1
	zero     place // 40 digits of 0
	idle     place // 20 digits that nobody reads
	columns  place // 80
	quotient place
	scratch  place // 30
	twice    place
	result   place // the signature, 40 digits
	wide     place // 40 digits
	opened   place // what the public operation makes of it, 40 digits
	size     int   // vectors
}

// A modulus of 20 digits as the kernels take it: for divide the digits, -1/m mod
// 2^52, and the difference between the upper five of the upper ten digits and the
// five below them; for reduce also the 20 digits of 1/2^520 mod m, and the
// same differences of its lower and upper ten. A difference is five digits in two's
// complement, and its sign: all ones if it is negative.
const (
	half           = digits / 2
	quarter        = digits / 4
	differenceSize = quarter + 1

	inverseAt    = digits
	differenceAt = inverseAt + 1
	dividerSize  = differenceAt + differenceSize
	foldAt       = dividerSize
	foldLowAt    = foldAt + digits
	foldHighAt   = foldLowAt + differenceSize
	modulusSize  = foldHighAt + differenceSize
)

func newLayout() layout {
	var l layout
	take := func(vectors int) place {
		p := place(0).plus(l.size)
		l.size += vectors
		return p
	}
	for _, f := range l.primes() {
		f.modulus, f.squared, f.exponent = take(modulusSize), take(digits), take(exponentSize)
	}
	l.inverse = take(digits)
	l.modulus = take(dividerSize + digits)
	l.squared, l.encoded = take(2*digits), take(2*digits)
	l.ones, l.zero, l.idle = take(digits), take(2*digits), take(digits)
	l.columns, l.quotient, l.scratch, l.twice = take(4*digits), take(digits), take(digits+half), take(digits)
	l.result, l.wide, l.opened = take(2*digits), take(2*digits), take(2*digits)
	for _, f := range l.primes() {
		f.columns, f.scratch, f.selected = take(2*digits), take(digits), take(digits)
		f.table = take(digits * entries)
		f.base, f.power, f.residue = take(digits), take(2*digits), take(digits)
	}
	return l
}

func (l *layout) primes() [2]*prime { return [2]*prime{&l.p, &l.q} }

func (l *layout) other(f *prime) *prime {
	if f == &l.p {
		return &l.q
	}
	return &l.p
}

// program is the straight line of steps that signs and verifies eight messages.
// It is the same for all keys: what depends on a key is in the scratch alone.
type program struct {
	layout

	steps []step
	// verify is the index of the first step that verifies.
	verify int
}

func newProgram() *program {
	p := &program{layout: newLayout()}
	p.exponentiate()
	p.recombine()
	p.verify = len(p.steps)
	p.open()
	return p
}

func (p *program) emit(op uint32, dst, a, b place) *step {
	p.steps = append(p.steps, step{op: op, dst: dst.bytes(), a: a.bytes(), b: b.bytes()})
	return &p.steps[len(p.steps)-1]
}

// product sets or adds to 40 columns the product of 20 digits each.
func (p *program) product(op uint32, dst, a, b place) {
	p.emit(op, dst, a, b).c = p.scratch.bytes()
}

// reduce brings a prime's columns down to 20, below twice the prime + 2^1012 for
// columns below 2^2052. They must be settled before they are multiplied. Carrying
// takes long, but nothing of the processor: so it is done beside another
// reduction, to 20 columns which that one has nothing to do with.
func (p *program) reduce(dst place, f *prime, settled place) {
	s := p.emit(opReduce, dst, f.columns, f.modulus)
	s.c, s.number = f.scratch.bytes(), settled.bytes()
}

// divide divides 30 columns by 2^520 modulo a modulus of 20 digits.
func (p *program) divide(dst, columns, modulus, quotient place) {
	s := p.emit(opDivide, dst, columns, modulus)
	s.c, s.number = quotient.bytes(), p.idle.bytes()
}

func (p *program) settle(x place) { p.emit(opSettle, 0, 0, 0).number = x.bytes() }

// multiply is an almost-Montgomery multiplication: a·b/R mod the prime.
func (p *program) multiply(f *prime, dst, a, b place) {
	p.product(opProduct, f.columns, a, b)
	p.reduce(dst, f, p.idle)
	p.settle(dst)
}

// reduceClosely divides 40 columns by R modulo the prime. What it leaves is below
// the prime + 2^1012, which reduce cannot promise.
func (p *program) reduceClosely(dst, columns place, f *prime) {
	p.divide(columns+half, columns, f.modulus, f.scratch)
	p.divide(dst, columns+half, f.modulus, f.scratch)
	p.settle(dst)
}

// keep writes a power into the table.
func (p *program) keep(f *prime, entry int, power place) {
	p.emit(opPut, f.table.plus(entry), power, 0).number = entries * vectorBytes
}

// exponentiate leaves the message's powers mod the primes in their residues. The
// two go in turn, so that one's reduction settles the other's power.
func (p *program) exponentiate() {
	for _, f := range p.primes() {
		// The message is twice as long as the prime: low·R²/R + high·R³/R is what
		// Montgomery's form takes.
		p.multiply(f, f.base, f.squared, f.squared)
		p.product(opProduct, f.columns, p.encoded, f.squared)
		p.product(opAccumulate, f.columns, p.encoded.plus(digits), f.base)
		p.reduce(f.base, f, p.idle)
		p.settle(f.base)
		p.keep(f, 1, f.base)
		p.emit(opPut, f.power, f.base, 0).number = vectorBytes
	}
	for i := 2; i < entries; i++ {
		for _, f := range p.primes() {
			p.multiply(f, f.power, f.power, f.base)
			p.keep(f, i, f.power)
		}
	}
	for _, f := range p.primes() {
		p.multiply(f, f.power, f.squared, p.ones)
		p.keep(f, 0, f.power)
	}
	p.multiplyPicked(&p.q, windows-1) // this product is for nothing, the selection is not
	for w := windows - 1; w >= 0; w-- {
		for i := 0; i < window && w < windows-1; i++ {
			p.square()
		}
		p.multiplyPicked(&p.p, w)
		p.reduce(p.p.power, &p.p, p.q.power)
		p.multiplyPicked(&p.q, max(w-1, 0))
		p.reduce(p.q.power, &p.q, p.p.power)
	}
	for _, f := range p.primes() {
		// Out of Montgomery's form: behind the power there is zero.
		p.settle(f.power)
		p.reduceClosely(f.residue, f.power, f)
	}
}

// square squares both powers.
func (p *program) square() {
	for _, f := range p.primes() {
		p.emit(opSquare, f.columns, f.power, 0).c = f.scratch.bytes()
		p.reduce(f.power, f, p.other(f).power)
	}
}

// multiplyPicked multiplies a power by the entry that was selected before. Beside
// that it selects the other prime's, which a window of its exponent names.
func (p *program) multiplyPicked(f *prime, w int) {
	other := p.other(f)
	s := p.emit(opProductPick, f.columns, f.power, other.table)
	s.c, s.number = other.exponent.plus(w/windowsInWord).bytes(), uint32(w%windowsInWord*window) //nolint:gosec // less than 52
}

// recombine is Garner's: s = s_q + q·((s_p - s_q)/q mod p), and less than n.
func (p *program) recombine() {
	h := p.p.residue
	p.emit(opSubtract, h, p.p.residue, p.q.residue).c = p.p.modulus.bytes()
	p.product(opProduct, p.p.columns, h, p.inverse)
	p.reduceClosely(h, p.p.columns, &p.p)
	p.emit(opPut, p.columns, p.q.residue, 0).number = vectorBytes
	p.emit(opPut, p.columns.plus(digits), p.zero, 0).number = vectorBytes
	p.product(opAccumulate, p.columns, h, p.q.modulus)
	p.emit(opCarry, p.wide, p.columns, 0)
	// trim wants n without a gap, which stands in opened for the moment.
	n := p.opened
	p.emit(opPut, n, p.modulus, 0).number = vectorBytes
	p.emit(opPut, n.plus(digits), p.modulus.plus(dividerSize), 0).number = vectorBytes
	p.emit(opTrim, p.result, p.wide, n).c = p.columns.bytes()
}

// open leaves the signature's 65537th power mod n in opened. It is below
// n + 2^2019, so it is the encoded message, which is longer than 2^2019, exactly
// if the signature is good.
func (p *program) open() {
	p.multiplyWide(p.wide, p.result, p.squared)
	for range 16 {
		p.squareWide(p.wide)
	}
	p.multiplyWide(p.opened, p.wide, p.result)
}

func (p *program) multiplyWide(dst, a, b place) {
	t := p.columns
	p.product(opProduct, t, a, b)
	p.product(opProduct, t.plus(2*digits), a.plus(digits), b.plus(digits))
	p.product(opAccumulate, t.plus(digits), a, b.plus(digits))
	p.product(opAccumulate, t.plus(digits), a.plus(digits), b)
	p.reduceWide(dst)
}

func (p *program) squareWide(x place) {
	t := p.columns
	p.emit(opSquare, t, x, 0).c = p.scratch.bytes()
	p.emit(opSquare, t.plus(2*digits), x.plus(digits), 0).c = p.scratch.bytes()
	p.emit(opAdd, p.twice, x.plus(digits), x.plus(digits))
	p.product(opAccumulate, t.plus(digits), x, p.twice)
	p.reduceWide(x)
}

// reduceWide divides the 80 columns by 2^2080 mod n, 20 digits at a time: n's
// lower half makes the quotient, whose product with the upper half follows.
func (p *program) reduceWide(dst place) {
	for i := range place(2) {
		t := p.columns + i*digits
		p.divide(t+half, t, p.modulus, p.quotient)
		p.divide(t+digits, t+half, p.modulus, p.quotient+half)
		p.product(opAccumulate, t+digits, p.quotient, p.modulus.plus(dividerSize))
	}
	p.emit(opCarry, dst, p.columns.plus(2*digits), 0)
}
