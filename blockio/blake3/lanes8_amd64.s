#include "go_asm.h"
#include "textflag.h"

#define V0 Y0
#define V1 Y1
#define V2 Y2
#define V3 Y3
#define V4 Y4
#define V5 Y5
#define V6 Y6
#define V7 Y7
#define V8 Y8
#define V9 Y9
#define V10 Y10
#define V11 Y11
#define V12 Y12
#define V13 Y13
#define V14 Y14
#define V15 Y15
#define M0 Y16
#define M1 Y17
#define M2 Y18
#define M3 Y19
#define M4 Y20
#define M5 Y21
#define M6 Y22
#define M7 Y23
#define M8 Y24
#define M9 Y25
#define M10 Y26
#define M11 Y27
#define M12 Y28
#define M13 Y29
#define M14 Y30
#define M15 Y31

#include "rounds_amd64.h"

// DI is the lanes, SI the offset in every input, CX the blocks left, BX the flags of the block, R8 the initial value.

// Two vectors exchange their halves.
#define EXCHANGE(a, b) \
	VSHUFI32X4 $0, b, a, V12; \
	VSHUFI32X4 $3, b, a, b; \
	VMOVDQA32 V12, a

#define LOAD(lane, v, w) \
	MOVQ      (lanes_in+8*lane)(DI), AX; \
	VMOVDQU32 (AX)(SI*1), v; \
	VMOVDQU32 32(AX)(SI*1), w

// Store half of the digests of lanes i and i+4.
#define STORE(i, half, v) \
	MOVQ          (lanes_out+8*i)(DI), AX; \
	VEXTRACTI32X4 $0, v, (16*half)(AX); \
	MOVQ          (lanes_out+8*(i+4))(DI), AX; \
	VEXTRACTI32X4 $1, v, (16*half)(AX)

// func compress8(l *lanes)
TEXT ·compress8(SB), NOSPLIT, $0-8
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
	LOAD(0, M0, M8)
	LOAD(1, M1, M9)
	LOAD(2, M2, M10)
	LOAD(3, M3, M11)
	LOAD(4, M4, M12)
	LOAD(5, M5, M13)
	LOAD(6, M6, M14)
	LOAD(7, M7, M15)
	TRANSPOSE(M0, M1, M2, M3)
	TRANSPOSE(M4, M5, M6, M7)
	TRANSPOSE(M8, M9, M10, M11)
	TRANSPOSE(M12, M13, M14, M15)
	EXCHANGE(M0, M4)
	EXCHANGE(M1, M5)
	EXCHANGE(M2, M6)
	EXCHANGE(M3, M7)
	EXCHANGE(M8, M12)
	EXCHANGE(M9, M13)
	EXCHANGE(M10, M14)
	EXCHANGE(M11, M15)
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
