package multibuffer

import "crypto/sha256"

// Steps is how many steps a computation has; the first Verification of them sign.
func Steps() (all, signing int) {
	p := theProgram()
	return len(p.steps), p.verify
}

// Vectors is where something is in the scratch.
type Vectors struct{ First, Number int }

// Places returns where what a computation reads and writes is, by name.
func Places() map[string]Vectors {
	l := theProgram().layout
	at := func(p place, n int) Vectors { return Vectors{int(p), n} }
	places := map[string]Vectors{
		"inverse": at(l.inverse, digits), "n": at(l.modulus, dividerSize+digits), "squared": at(l.squared, 2*digits),
		"encoded": at(l.encoded, 2*digits), "ones": at(l.ones, digits), "zero": at(l.zero, 2*digits),
		"columns": at(l.columns, 4*digits), "quotient": at(l.quotient, digits), "scratch": at(l.scratch, digits+half), "twice": at(l.twice, digits),
		"result": at(l.result, 2*digits), "wide": at(l.wide, 2*digits), "opened": at(l.opened, 2*digits),
	}
	for name, f := range map[string]*prime{"p": &l.p, "q": &l.q} {
		for what, v := range map[string]Vectors{
			"modulus": at(f.modulus, modulusSize), "squared": at(f.squared, digits), "exponent": at(f.exponent, exponentSize),
			"columns": at(f.columns, 2*digits), "scratch": at(f.scratch, digits), "selected": at(f.selected, digits), "base": at(f.base, digits),
			"power": at(f.power, 2*digits), "residue": at(f.residue, digits), "table": at(f.table, digits*entries),
		} {
			places[name+"'s "+what] = v
		}
	}
	return places
}

// ResultIsRead is the step after the last one that reads all of the signature.
func ResultIsRead() int {
	p := theProgram()
	var last [2]int // of each half
	for i, s := range p.steps {
		for half := range last {
			if at := p.result.plus(half * digits).bytes(); s.a == at || s.b == at {
				last[half] = i
			}
		}
	}
	return min(last[0], last[1]) + 1
}

// ComputeWithFault computes where the processor can, and before a step has the
// scratch changed.
func (b *Batch) ComputeWithFault(before int, fault func(scratch []uint64)) {
	b.fill()
	runSupported(b.program.steps[:before], b.scratch)
	fault(b.scratch)
	runSupported(b.program.steps[before:], b.scratch)
}

// ComputeSteps computes some of the steps, where the processor can.
func (b *Batch) ComputeSteps(first, end int) {
	b.fill()
	runSupported(b.program.steps[first:end], b.scratch)
}

// Empty returns whether nothing is left of what was set and computed.
func (b *Batch) Empty() bool {
	for _, word := range b.scratch {
		if word != 0 {
			return false
		}
	}
	return b.used == [Lanes]bool{} && b.digests == [Lanes][sha256.Size]byte{}
}

// AddModulus adds n to a lane's number of 40 digits, which stays below 2^2080.
func (b *Batch) AddModulus(at Vectors, lane int) {
	x := b.vectors(place(0).plus(at.First), 2*digits)
	var carry uint64
	for i := range 2 * digits {
		sum := x[i*Lanes+lane] + b.modulusDigit(i, lane) + carry
		x[i*Lanes+lane], carry = sum&mask52, sum>>radix
	}
}

// Open is the public operation alone: it reports for each lane whether the
// signature, of 256 bytes and less than n, is the digest's. n is the modulus.
func Open(n []byte, digests *[Lanes][sha256.Size]byte, signatures *[Lanes][]byte) (good [Lanes]bool) {
	b := NewBatch()
	var public [publicWords]uint64
	writer{public[:]}.publicKey(n)
	for lane := range Lanes {
		b.setPublic(lane, public[:], &digests[lane])
		var s [2 * digits]uint64
		toDigits(s[:], signatures[lane], radix)
		b.spread(b.program.result, lane, s[:])
	}
	runSupported(b.program.steps[b.program.verify:], b.scratch)
	for lane := range Lanes {
		good[lane] = b.verified(lane)
	}
	return good
}

// ComputeSupported is Compute where the processor can, else ComputePortable.
func (b *Batch) ComputeSupported() {
	b.fill()
	runSupported(b.program.steps, b.scratch)
}

func runSupported(steps []step, scratch []uint64) {
	if Supported() == nil {
		runAssembly(steps, scratch)
		return
	}
	runPortable(steps, scratch)
}

// Encode returns the digits of a digest's encoded message.
func Encode(digest [sha256.Size]byte) []uint64 {
	var message [2 * digits]uint64
	encode(&message, &digest)
	return message[:]
}

// Digits converts there and back.
func Digits(number []byte, size int) (digits []uint64, back []byte) {
	digits = make([]uint64, (8*len(number)+size-1)/size)
	toDigits(digits, number, size)
	back = make([]byte, len(number))
	if size == radix {
		fromDigits(back, func(i int) uint64 { return digits[i] })
	}
	return digits, back
}
