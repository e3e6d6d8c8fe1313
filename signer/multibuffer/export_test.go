package multibuffer

import "crypto/sha256"

// Steps is how many steps a computation has; the first Verification of them sign.
func Steps() (all, signing int) {
	p := theProgram()
	return len(p.steps), p.verify
}

// Words is how many words the scratch of a batch has.
func (b *Batch) Words() int { return len(b.scratch) }

// ComputeWithFault computes and flips one bit of the scratch before a step. The
// word's index modulo Lanes is the lane.
func (b *Batch) ComputeWithFault(before, word int, bit uint) {
	b.fill()
	steps := b.program.steps
	runAssembly(steps[:before], b.scratch)
	b.scratch[word] ^= 1 << bit
	runAssembly(steps[before:], b.scratch)
}

// IsRead returns whether a word of the scratch is of any use from a step on: the
// signature is not, once the last product of its verification has read it.
func (b *Batch) IsRead(from, word int) bool {
	p := b.program
	first := p.result.bytes()
	inResult := func(offset uint32) bool { return offset >= first && offset < p.result.plus(2*digits).bytes() }
	if !inResult(uint32(word * 8)) {
		return true
	}
	for _, s := range p.steps[from:] {
		if inResult(s.a) || inResult(s.b) {
			return true
		}
	}
	return false
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
