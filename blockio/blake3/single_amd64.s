#include "go_asm.h"
#include "textflag.h"

// Row r orders the words of a message as round r uses them: first and second words of the columns, then of the
// diagonals. The diagonals are brought into line by turning the rows other than the second, which the next step waits
// for, so that they begin with the last.
DATA schedule<>+0x000(SB)/8, $0x0000000200000000
DATA schedule<>+0x008(SB)/8, $0x0000000600000004
DATA schedule<>+0x010(SB)/8, $0x0000000300000001
DATA schedule<>+0x018(SB)/8, $0x0000000700000005
DATA schedule<>+0x020(SB)/8, $0x000000080000000e
DATA schedule<>+0x028(SB)/8, $0x0000000c0000000a
DATA schedule<>+0x030(SB)/8, $0x000000090000000f
DATA schedule<>+0x038(SB)/8, $0x0000000d0000000b
DATA schedule<>+0x040(SB)/8, $0x0000000300000002
DATA schedule<>+0x048(SB)/8, $0x0000000400000007
DATA schedule<>+0x050(SB)/8, $0x0000000a00000006
DATA schedule<>+0x058(SB)/8, $0x0000000d00000000
DATA schedule<>+0x060(SB)/8, $0x000000010000000f
DATA schedule<>+0x068(SB)/8, $0x000000090000000c
DATA schedule<>+0x070(SB)/8, $0x0000000b00000008
DATA schedule<>+0x078(SB)/8, $0x0000000e00000005
DATA schedule<>+0x080(SB)/8, $0x0000000a00000003
DATA schedule<>+0x088(SB)/8, $0x000000070000000d
DATA schedule<>+0x090(SB)/8, $0x0000000c00000004
DATA schedule<>+0x098(SB)/8, $0x0000000e00000002
DATA schedule<>+0x0a0(SB)/8, $0x0000000600000008
DATA schedule<>+0x0a8(SB)/8, $0x0000000b00000009
DATA schedule<>+0x0b0(SB)/8, $0x0000000500000001
DATA schedule<>+0x0b8(SB)/8, $0x0000000f00000000
DATA schedule<>+0x0c0(SB)/8, $0x0000000c0000000a
DATA schedule<>+0x0c8(SB)/8, $0x0000000d0000000e
DATA schedule<>+0x0d0(SB)/8, $0x0000000900000007
DATA schedule<>+0x0d8(SB)/8, $0x0000000f00000003
DATA schedule<>+0x0e0(SB)/8, $0x0000000400000001
DATA schedule<>+0x0e8(SB)/8, $0x000000050000000b
DATA schedule<>+0x0f0(SB)/8, $0x0000000000000006
DATA schedule<>+0x0f8(SB)/8, $0x0000000800000002
DATA schedule<>+0x100(SB)/8, $0x000000090000000c
DATA schedule<>+0x108(SB)/8, $0x0000000e0000000f
DATA schedule<>+0x110(SB)/8, $0x0000000b0000000d
DATA schedule<>+0x118(SB)/8, $0x000000080000000a
DATA schedule<>+0x120(SB)/8, $0x0000000700000006
DATA schedule<>+0x128(SB)/8, $0x0000000000000005
DATA schedule<>+0x130(SB)/8, $0x0000000200000004
DATA schedule<>+0x138(SB)/8, $0x0000000100000003
DATA schedule<>+0x140(SB)/8, $0x0000000b00000009
DATA schedule<>+0x148(SB)/8, $0x0000000f00000008
DATA schedule<>+0x150(SB)/8, $0x000000050000000e
DATA schedule<>+0x158(SB)/8, $0x000000010000000c
DATA schedule<>+0x160(SB)/8, $0x0000000d00000004
DATA schedule<>+0x168(SB)/8, $0x0000000200000000
DATA schedule<>+0x170(SB)/8, $0x0000000300000007
DATA schedule<>+0x178(SB)/8, $0x000000060000000a
DATA schedule<>+0x180(SB)/8, $0x000000050000000b
DATA schedule<>+0x188(SB)/8, $0x0000000800000001
DATA schedule<>+0x190(SB)/8, $0x000000000000000f
DATA schedule<>+0x198(SB)/8, $0x0000000600000009
DATA schedule<>+0x1a0(SB)/8, $0x0000000e00000007
DATA schedule<>+0x1a8(SB)/8, $0x0000000300000002
DATA schedule<>+0x1b0(SB)/8, $0x0000000a0000000d
DATA schedule<>+0x1b8(SB)/8, $0x000000040000000c
GLOBL schedule<>(SB), RODATA|NOPTR, $0x1c0

#define G(x, y) \
	VPADDD x, X0, X0; \
	VPADDD X1, X0, X0; \
	VPXOR  X0, X3, X3; \
	VPRORD $16, X3, X3; \
	VPADDD X3, X2, X2; \
	VPXOR  X2, X1, X1; \
	VPRORD $12, X1, X1; \
	VPADDD y, X0, X0; \
	VPADDD X1, X0, X0; \
	VPXOR  X0, X3, X3; \
	VPRORD $8, X3, X3; \
	VPADDD X3, X2, X2; \
	VPXOR  X2, X1, X1; \
	VPRORD $7, X1, X1

#define ROUND(r) \
	VMOVDQU32 64*r(R8), Z4; \
	VPERMD Z8, Z4, Z4; \
	VEXTRACTI32X4 $1, Z4, X5; \
	VEXTRACTI32X4 $2, Z4, X6; \
	VEXTRACTI32X4 $3, Z4, X7; \
	G(X4, X5); \
	VPSHUFD $0x93, X0, X0; \
	VPSHUFD $0x39, X2, X2; \
	VPSHUFD $0x4e, X3, X3; \
	G(X6, X7); \
	VPSHUFD $0x39, X0, X0; \
	VPSHUFD $0x93, X2, X2; \
	VPSHUFD $0x4e, X3, X3

// func compress1(cv *[32]byte, block *byte, counter uint64, size, flags uint32)
TEXT ·compress1(SB), NOSPLIT, $0-32
	MOVQ      cv+0(FP), DI
	MOVQ      block+8(FP), SI
	LEAQ      schedule<>(SB), R8
	LEAQ      ·iv(SB), R9
	VMOVDQU32 (SI), Z8
	VMOVDQU   (DI), X0
	VMOVDQU   16(DI), X1
	VMOVDQU   (R9), X2
	VMOVDQU   counter+16(FP), X3 // counter, size and flags are the last row
	ROUND(0)
	ROUND(1)
	ROUND(2)
	ROUND(3)
	ROUND(4)
	ROUND(5)
	ROUND(6)
	VPXOR     X2, X0, X0
	VPXOR     X3, X1, X1
	VMOVDQU   X0, (DI)
	VMOVDQU   X1, 16(DI)
	VZEROUPPER
	RET
