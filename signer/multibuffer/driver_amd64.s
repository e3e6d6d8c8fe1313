#include "textflag.h"

// The kernels by number, in the order of the constants in program.go.
DATA ·kernels+0(SB)/8, $·kernelProduct(SB)
DATA ·kernels+8(SB)/8, $·kernelAccumulate(SB)
DATA ·kernels+16(SB)/8, $·kernelProductPick(SB)
DATA ·kernels+24(SB)/8, $·kernelSquare(SB)
DATA ·kernels+32(SB)/8, $·kernelReduce(SB)
DATA ·kernels+40(SB)/8, $·kernelDivide(SB)
DATA ·kernels+48(SB)/8, $·kernelSettle(SB)
DATA ·kernels+56(SB)/8, $·kernelAdd(SB)
DATA ·kernels+64(SB)/8, $·kernelSubtract(SB)
DATA ·kernels+72(SB)/8, $·kernelPut(SB)
DATA ·kernels+80(SB)/8, $·kernelCarry(SB)
DATA ·kernels+88(SB)/8, $·kernelTrim(SB)
GLOBL ·kernels(SB), RODATA, $96

// drive carries out the SI steps at DI on the scratch at DX. It is called as C
// calls (System V AMD64 ABI §3.2): it changes no register that belongs to its
// caller, and it needs nothing of Go's. The only jump depends on the count.
TEXT ·drive(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ DI, R9
	MOVQ SI, R10
	MOVQ DX, R11
	LEAQ ·kernels(SB), R8
	PUSHQ R12
	MOVQ R8, R12

next:
	MOVL 0(R9), AX
	MOVL 4(R9), R8
	MOVL 8(R9), DI
	MOVL 12(R9), SI
	MOVL 16(R9), DX
	MOVL 20(R9), CX
	ADDQ R11, DI
	ADDQ R11, SI
	ADDQ R11, DX
	ADDQ R11, CX
	MOVQ (R12)(AX*8), AX
	CALL AX
	ADDQ $24, R9
	DECQ R10
	JNZ  next
	POPQ R12

	// Nothing of a key stays behind in a register.
	VPXORQ Z16, Z16, Z16
	VPXORQ Z17, Z17, Z17
	VPXORQ Z18, Z18, Z18
	VPXORQ Z19, Z19, Z19
	VPXORQ Z20, Z20, Z20
	VPXORQ Z21, Z21, Z21
	VPXORQ Z22, Z22, Z22
	VPXORQ Z23, Z23, Z23
	VPXORQ Z24, Z24, Z24
	VPXORQ Z25, Z25, Z25
	VPXORQ Z26, Z26, Z26
	VPXORQ Z27, Z27, Z27
	VPXORQ Z28, Z28, Z28
	VPXORQ Z29, Z29, Z29
	VPXORQ Z30, Z30, Z30
	VPXORQ Z31, Z31, Z31
	KXORQ  K1, K1, K1
	KXORQ  K2, K2, K2
	KXORQ  K3, K3, K3
	KXORQ  K4, K4, K4
	KXORQ  K5, K5, K5
	KXORQ  K6, K6, K6
	KXORQ  K7, K7, K7
	VZEROALL
	RET

// func runSteps(steps *step, count int, scratch *uint64)
TEXT ·runSteps(SB), NOSPLIT|NOFRAME, $0-24
	MOVQ steps+0(FP), DI
	MOVQ count+8(FP), SI
	MOVQ scratch+16(FP), DX
	JMP  ·drive(SB)

// func driverAddress() uintptr
TEXT ·driverAddress(SB), NOSPLIT|NOFRAME, $0-8
	LEAQ ·drive(SB), AX
	MOVQ AX, ret+0(FP)
	RET
