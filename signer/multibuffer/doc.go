// Package multibuffer computes eight RSA-2048 signatures (RSASSA-PKCS1-v1_5 with
// SHA-256, RFC 8017 §8.2) at a time, in the lanes of AVX-512 IFMA's vectors, and
// verifies each before it gives it away. It owns the kernels (assembly that
// internal/gen writes, and the same in Go), the program of steps, the form that
// keys have in lanes, and the scratch.
//
// It does not choose what is signed together, does not retry, and holds no keys
// but those it is given: package signer does that. Keys of other sizes, of other
// exponents than 65537 or of more than two primes are not for it.
//
// Numbers are 20 digits of 52 bits (40 modulo n), each digit a vector of eight
// lanes, in scratch whose layout is the same for all keys. The program is one
// straight line of kernel calls over that scratch, made once: the exponentiations
// modulo both primes (fixed windows of four bits, tables read whole), Garner's
// recombination, and the 65537th power modulo n. No instruction jumps and no address is
// computed depending on a key, a digest or a signature; a test looks for them in
// the disassembly.
//
// Concurrency: a Batch belongs to one goroutine at a time, a Key may be used by
// many. The assembly needs nothing of Go's, so that a thread of C's may run it
// (Job).
//
// If an attacker controls a digest, they learn a signature of it. If they control
// a key, they can have it refused, or signatures of it fail. If they can flip
// bits while a batch is computed, the signature that they hit does not leave; a good
// one that they hit afterwards leaves with that bit wrong.
package multibuffer

//go:generate go -C internal/gen run . -out ../../kernel_amd64.s -stubs ../../kernel_amd64.go -pkg multibuffer
