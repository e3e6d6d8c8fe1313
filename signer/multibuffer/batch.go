package multibuffer

import (
	"crypto/sha256"
	"errors"
	"sync"
	"unsafe"
)

// Batch is room for eight signatures: Set the lanes, compute, take the results,
// Wipe. It is used by one goroutine at a time and may be used again.
type Batch struct {
	program *program
	scratch []uint64 // 64-byte aligned
	used    [Lanes]bool
	digests [Lanes][sha256.Size]byte // what the lanes were set to sign
}

// ErrFault is the error of a lane whose signature is not good: the processor, the
// memory or this package erred. Such a signature tells the private key to whoever
// sees it (Boneh, DeMillo, Lipton 1997), so it is not to be had.
var ErrFault = errors.New("a computed signature does not verify")

// theProgram is the same for all batches.
var theProgram = sync.OnceValue(newProgram) //nolint:gochecknoglobals // a constant in all but name

// NewBatch makes a batch.
func NewBatch() *Batch {
	b := &Batch{program: theProgram()}
	room := make([]uint64, b.program.size*Lanes+vectorBytes/8)
	past := uintptr(unsafe.Pointer(&room[0])) % vectorBytes //nolint:gosec // alignment; Go does not move what it has allocated
	room = room[(vectorBytes-past)%vectorBytes/8:]
	b.scratch = room[:b.program.size*Lanes]
	b.Wipe()
	return b
}

// Wipe overwrites everything that was computed or set.
func (b *Batch) Wipe() {
	clear(b.scratch)
	b.used = [Lanes]bool{}
	b.digests = [Lanes][sha256.Size]byte{}
}

// vectors returns n vectors of the scratch.
func (b *Batch) vectors(at place, n int) []uint64 {
	return b.scratch[int(at)*Lanes : (int(at)+n)*Lanes]
}

// Set puts a message's digest and the key that signs it into a lane.
func (b *Batch) Set(lane int, key *Key, digest *[sha256.Size]byte) {
	b.setPublic(lane, key.public[:], digest)
	b.spread(0, lane, key.private[:])
}

// setPublic puts into a lane what its verification needs.
func (b *Batch) setPublic(lane int, public []uint64, digest *[sha256.Size]byte) {
	b.used[lane] = true
	b.digests[lane] = *digest
	b.spread(b.program.modulus, lane, public)
	var message [2 * digits]uint64
	encode(&message, digest)
	b.spread(b.program.encoded, lane, message[:])
	b.scratch[int(b.program.ones)*Lanes+lane] = 1
}

// spread writes words into one lane of as many vectors.
func (b *Batch) spread(at place, lane int, from []uint64) {
	to := b.vectors(at, len(from))
	for i, word := range from {
		to[i*Lanes+lane] = word
	}
}

// Compute signs and verifies on the calling goroutine. The lanes that were not
// set carry the key and the message of one that was.
func (b *Batch) Compute() {
	b.fill()
	runAssembly(b.program.steps, b.scratch)
}

// ComputePortable is Compute without assembly: a hundred times slower.
func (b *Batch) ComputePortable() {
	b.fill()
	runPortable(b.program.steps, b.scratch)
}

// Job is a Compute for a thread that is not Go's. Driver is the address of a
// function of C's calling convention, void (const void *steps, long count, void
// *scratch), which needs nothing of Go's: 200 bytes of stack, and the processor
// of Supported. The batch must not be touched until it has returned, and what
// Steps and Scratch point to must be pinned (runtime.Pinner).
type Job struct {
	Driver  uintptr
	Steps   unsafe.Pointer
	Count   int
	Scratch unsafe.Pointer
}

// Job returns what another thread needs to compute the batch.
func (b *Batch) Job() Job {
	b.fill()
	return Job{
		Driver:  driverAddress(),
		Steps:   unsafe.Pointer(&b.program.steps[0]), //nolint:gosec // for C
		Count:   len(b.program.steps),
		Scratch: unsafe.Pointer(&b.scratch[0]), //nolint:gosec // for C
	}
}

// fill gives the lanes that were not set the contents of one that was.
func (b *Batch) fill() {
	from := 0
	for from < Lanes && !b.used[from] {
		from++
	}
	if from == Lanes {
		return
	}
	inputs := b.vectors(0, int(b.program.ones)+1) // the layout has what is set first
	for lane := range Lanes {
		if b.used[lane] {
			continue
		}
		for i := 0; i < len(inputs); i += Lanes {
			inputs[i+lane] = inputs[i+from]
		}
	}
}

// Result returns the signature of a lane after the computation, or ErrFault.
func (b *Batch) Result(lane int) ([]byte, error) {
	if !b.used[lane] || !b.verified(lane) {
		return nil, ErrFault
	}
	signature := make([]byte, signatureSize)
	result := b.vectors(b.program.result, 2*digits)
	fromDigits(signature, func(i int) uint64 { return result[i*Lanes+lane] })
	return signature, nil
}

// verified returns whether the signature is one of n's residues and opens to the
// message that the lane was set to sign. That is encoded anew: the one in the
// scratch was signed, and if it was hit, it is the wrong message.
func (b *Batch) verified(lane int) bool {
	result, opened := b.vectors(b.program.result, 2*digits), b.vectors(b.program.opened, 2*digits)
	var message [2 * digits]uint64
	encode(&message, &b.digests[lane])
	var differ, borrow uint64
	for i, want := range message {
		differ |= opened[i*Lanes+lane] ^ want
		borrow = shift(result[i*Lanes+lane] - b.modulusDigit(i, lane) + borrow)
	}
	return differ|^borrow == 0
}

// modulusDigit returns a digit of a lane's n, which has a gap in the middle.
func (b *Batch) modulusDigit(i, lane int) uint64 {
	if i >= digits {
		i += dividerSize - digits
	}
	return b.vectors(b.program.modulus.plus(i), 1)[lane]
}

// encode is EMSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §9.2), in digits.
func encode(message *[2 * digits]uint64, digest *[sha256.Size]byte) {
	const prefix = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20" // DigestInfo
	var em [signatureSize]byte
	em[1] = 1
	for i := 2; i < signatureSize-sha256.Size-len(prefix)-1; i++ {
		em[i] = 0xff
	}
	copy(em[signatureSize-sha256.Size-len(prefix):], prefix)
	copy(em[signatureSize-sha256.Size:], digest[:])
	toDigits(message[:], em[:], radix)
}
