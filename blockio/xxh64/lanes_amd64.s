#include "textflag.h"

// Two lanes take a stripe each: acc = rotl(acc + in * prime2, 31) * prime1.
#define ROUND(low, high, in, half, acc) \
	VMOVDQU64    (low)(SI*1), half; \
	VINSERTI64X4 $1, (high)(SI*1), in, in; \
	VPMULLQ      Z2, in, in; \
	VPADDQ       in, acc, acc; \
	VPROLQ       $31, acc, acc; \
	VPMULLQ      Z1, acc, acc

// func rounds(acc *[MaxLanes]accumulators, in *[MaxLanes]*byte, n int)
TEXT ·rounds(SB), NOSPLIT, $0-24
	MOVQ acc+0(FP), DX
	MOVQ in+8(FP), DI
	MOVQ n+16(FP), CX
	MOVQ $0x9E3779B185EBCA87, AX
	VPBROADCASTQ AX, Z1
	MOVQ $0xC2B2AE3D27D4EB4F, AX
	VPBROADCASTQ AX, Z2
	VMOVDQU64 (DX), Z4
	VMOVDQU64 64(DX), Z5
	VMOVDQU64 128(DX), Z6
	VMOVDQU64 192(DX), Z7
	MOVQ (DI), R8
	MOVQ 8(DI), R9
	MOVQ 16(DI), R10
	MOVQ 24(DI), R11
	MOVQ 32(DI), R12
	MOVQ 40(DI), R13
	MOVQ 48(DI), AX
	MOVQ 56(DI), BX
	XORL SI, SI

next:
	ROUND(R8, R9, Z8, Y8, Z4)
	ROUND(R10, R11, Z9, Y9, Z5)
	ROUND(R12, R13, Z10, Y10, Z6)
	ROUND(AX, BX, Z11, Y11, Z7)
	ADDQ $32, SI
	CMPQ SI, CX
	JLT  next

	VMOVDQU64 Z4, (DX)
	VMOVDQU64 Z5, 64(DX)
	VMOVDQU64 Z6, 128(DX)
	VMOVDQU64 Z7, 192(DX)
	VZEROUPPER
	RET
