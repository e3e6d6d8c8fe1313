package multibuffer

import (
	"errors"

	"golang.org/x/sys/cpu"
)

// runSteps carries out steps on the calling thread, in assembly.
//
//go:noescape
func runSteps(steps *step, count int, scratch *uint64)

// driverAddress returns where the driver is, which C may call as
// void drive(const void *steps, long count, void *scratch).
func driverAddress() uintptr

// Supported returns nil if this processor and its operating system have what
// the assembly needs: AVX-512F, BW, DQ, and IFMA.
func Supported() error {
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512IFMA {
		return nil
	}
	return errors.New("this processor does not have AVX-512 IFMA")
}

// runAssembly carries out steps, a few at a time, so that the scheduler and the
// garbage collector may come in between.
func runAssembly(steps []step, scratch []uint64) {
	const slice = 128 // about 20 µs
	for len(steps) > 0 {
		n := min(slice, len(steps))
		runSteps(&steps[0], n, &scratch[0])
		steps = steps[n:]
	}
}
