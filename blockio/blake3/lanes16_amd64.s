#include "go_asm.h"
#include "textflag.h"

#define V0 Z0
#define V1 Z1
#define V2 Z2
#define V3 Z3
#define V4 Z4
#define V5 Z5
#define V6 Z6
#define V7 Z7
#define V8 Z8
#define V9 Z9
#define V10 Z10
#define V11 Z11
#define V12 Z12
#define V13 Z13
#define V14 Z14
#define V15 Z15
#define M0 Z16
#define M1 Z17
#define M2 Z18
#define M3 Z19
#define M4 Z20
#define M5 Z21
#define M6 Z22
#define M7 Z23
#define M8 Z24
#define M9 Z25
#define M10 Z26
#define M11 Z27
#define M12 Z28
#define M13 Z29
#define M14 Z30
#define M15 Z31

#include "rounds_amd64.h"

// DI is the lanes, SI the offset in every input, CX the blocks left, BX the flags of the block, R8 the initial value.

// Four vectors exchange their blocks of four words.
#define EXCHANGE(a, b, c, d) \
	VSHUFI32X4 $0x44, b, a, V12; \
	VSHUFI32X4 $0xee, b, a, V13; \
	VSHUFI32X4 $0x44, d, c, V14; \
	VSHUFI32X4 $0xee, d, c, V15; \
	VSHUFI32X4 $0x88, V14, V12, a; \
	VSHUFI32X4 $0xdd, V14, V12, b; \
	VSHUFI32X4 $0x88, V15, V13, c; \
	VSHUFI32X4 $0xdd, V15, V13, d

#define LOAD(lane, v) \
	MOVQ      (lanes_in+8*lane)(DI), AX; \
	VMOVDQU32 (AX)(SI*1), v

// Store half of the digests of lanes i, i+4, i+8 and i+12.
#define STORE(i, half, v) \
	MOVQ          (lanes_out+8*i)(DI), AX; \
	VEXTRACTI32X4 $0, v, (16*half)(AX); \
	MOVQ          (lanes_out+8*(i+4))(DI), AX; \
	VEXTRACTI32X4 $1, v, (16*half)(AX); \
	MOVQ          (lanes_out+8*(i+8))(DI), AX; \
	VEXTRACTI32X4 $2, v, (16*half)(AX); \
	MOVQ          (lanes_out+8*(i+12))(DI), AX; \
	VEXTRACTI32X4 $3, v, (16*half)(AX)

// func compress16(l *lanes)
TEXT ·compress16(SB), NOSPLIT, $0-8
	MOVQ l+0(FP), DI
	LEAQ ·iv(SB), R8
	MOVL lanes_blocks(DI), CX
	MOVL lanes_first(DI), BX
	XORL SI, SI
	VPBROADCASTD 0(R8), V0
	VPBROADCASTD 4(R8), V1
	VPBROADCASTD 8(R8), V2
	VPBROADCASTD 12(R8), V3
	VPBROADCASTD 16(R8), V4
	VPBROADCASTD 20(R8), V5
	VPBROADCASTD 24(R8), V6
	VPBROADCASTD 28(R8), V7

block:
	// Rows of lanes become columns: word i of all lanes in Mi.
	LOAD(0, M0)
	LOAD(1, M1)
	LOAD(2, M2)
	LOAD(3, M3)
	LOAD(4, M4)
	LOAD(5, M5)
	LOAD(6, M6)
	LOAD(7, M7)
	LOAD(8, M8)
	LOAD(9, M9)
	LOAD(10, M10)
	LOAD(11, M11)
	LOAD(12, M12)
	LOAD(13, M13)
	LOAD(14, M14)
	LOAD(15, M15)
	TRANSPOSE(M0, M1, M2, M3)
	TRANSPOSE(M4, M5, M6, M7)
	TRANSPOSE(M8, M9, M10, M11)
	TRANSPOSE(M12, M13, M14, M15)
	EXCHANGE(M0, M4, M8, M12)
	EXCHANGE(M1, M5, M9, M13)
	EXCHANGE(M2, M6, M10, M14)
	EXCHANGE(M3, M7, M11, M15)
	CMPL CX, $1
	JNE  flags
	ORL  lanes_last(DI), BX

flags:
	MOVL         $const_blockSize, AX
	VPBROADCASTD 0(R8), V8
	VPBROADCASTD 4(R8), V9
	VPBROADCASTD 8(R8), V10
	VPBROADCASTD 12(R8), V11
	VMOVDQU32    lanes_counterLow(DI), V12
	VMOVDQU32    lanes_counterHigh(DI), V13
	VPBROADCASTD AX, V14
	VPBROADCASTD BX, V15
	COMPRESS
	MOVL lanes_middle(DI), BX
	ADDQ $const_blockSize, SI
	DECL CX
	JNZ  block

	TRANSPOSE(V0, V1, V2, V3)
	TRANSPOSE(V4, V5, V6, V7)
	STORE(0, 0, V0)
	STORE(0, 1, V4)
	STORE(1, 0, V1)
	STORE(1, 1, V5)
	STORE(2, 0, V2)
	STORE(2, 1, V6)
	STORE(3, 0, V3)
	STORE(3, 1, V7)
	VZEROUPPER
	RET
