#include "go_asm.h"
#include "textflag.h"

DATA weights<>+0x00(SB)/8, $0x191a1b1c1d1e1f20
DATA weights<>+0x08(SB)/8, $0x1112131415161718
DATA weights<>+0x10(SB)/8, $0x090a0b0c0d0e0f10
DATA weights<>+0x18(SB)/8, $0x0102030405060708
GLOBL weights<>(SB), RODATA|NOPTR, $32

DATA ones<>+0(SB)/2, $1
GLOBL ones<>(SB), RODATA|NOPTR, $2

// func sumBlocksAVX2(p *byte, blocks int) (s blockSums)
TEXT ·sumBlocksAVX2(SB), NOSPLIT, $0-40
	MOVQ         p+0(FP), SI
	MOVQ         blocks+8(FP), CX
	VMOVDQU      weights<>(SB), Y5
	VPBROADCASTW ones<>(SB), Y6
	VPXOR        Y7, Y7, Y7
	VPXOR        Y0, Y0, Y0 // bytes, 64-bit lanes
	VPXOR        Y1, Y1, Y1 // before, 64-bit lanes
	VPXOR        Y2, Y2, Y2 // weighted, 32-bit lanes
	TESTQ        CX, CX
	JZ           done

loop:
	VMOVDQU    (SI), Y3
	VPADDQ     Y0, Y1, Y1
	VPSADBW    Y7, Y3, Y4
	VPADDQ     Y4, Y0, Y0
	VPMADDUBSW Y5, Y3, Y3
	VPMADDWD   Y6, Y3, Y3
	VPADDD     Y3, Y2, Y2
	ADDQ       $32, SI
	DECQ       CX
	JNZ        loop

done:
	// Widen the weighted lanes, then add the four lanes of each.
	VPUNPCKLDQ   Y7, Y2, Y3
	VPUNPCKHDQ   Y7, Y2, Y4
	VPADDQ       Y4, Y3, Y2
	VEXTRACTI128 $1, Y0, X3
	VPADDQ       X3, X0, X0
	VPSRLDQ      $8, X0, X3
	VPADDQ       X3, X0, X0
	VMOVQ        X0, s_bytes+16(FP)
	VEXTRACTI128 $1, Y2, X3
	VPADDQ       X3, X2, X2
	VPSRLDQ      $8, X2, X3
	VPADDQ       X3, X2, X2
	VMOVQ        X2, s_weighted+24(FP)
	VEXTRACTI128 $1, Y1, X3
	VPADDQ       X3, X1, X1
	VPSRLDQ      $8, X1, X3
	VPADDQ       X3, X1, X1
	VMOVQ        X1, s_before+32(FP)
	VZEROUPPER
	RET
