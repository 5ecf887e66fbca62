#include "go_asm.h"
#include "textflag.h"

// Row i repeats the first i bytes of a vector over all of it; row 16 keeps it. Row 0 is not used.
DATA repeat<>+0x000(SB)/8, $0x0000000000000000
DATA repeat<>+0x008(SB)/8, $0x0000000000000000
DATA repeat<>+0x010(SB)/8, $0x0000000000000000
DATA repeat<>+0x018(SB)/8, $0x0000000000000000
DATA repeat<>+0x020(SB)/8, $0x0100010001000100
DATA repeat<>+0x028(SB)/8, $0x0100010001000100
DATA repeat<>+0x030(SB)/8, $0x0100020100020100
DATA repeat<>+0x038(SB)/8, $0x0002010002010002
DATA repeat<>+0x040(SB)/8, $0x0302010003020100
DATA repeat<>+0x048(SB)/8, $0x0302010003020100
DATA repeat<>+0x050(SB)/8, $0x0201000403020100
DATA repeat<>+0x058(SB)/8, $0x0004030201000403
DATA repeat<>+0x060(SB)/8, $0x0100050403020100
DATA repeat<>+0x068(SB)/8, $0x0302010005040302
DATA repeat<>+0x070(SB)/8, $0x0006050403020100
DATA repeat<>+0x078(SB)/8, $0x0100060504030201
DATA repeat<>+0x080(SB)/8, $0x0706050403020100
DATA repeat<>+0x088(SB)/8, $0x0706050403020100
DATA repeat<>+0x090(SB)/8, $0x0706050403020100
DATA repeat<>+0x098(SB)/8, $0x0605040302010008
DATA repeat<>+0x0a0(SB)/8, $0x0706050403020100
DATA repeat<>+0x0a8(SB)/8, $0x0504030201000908
DATA repeat<>+0x0b0(SB)/8, $0x0706050403020100
DATA repeat<>+0x0b8(SB)/8, $0x04030201000a0908
DATA repeat<>+0x0c0(SB)/8, $0x0706050403020100
DATA repeat<>+0x0c8(SB)/8, $0x030201000b0a0908
DATA repeat<>+0x0d0(SB)/8, $0x0706050403020100
DATA repeat<>+0x0d8(SB)/8, $0x0201000c0b0a0908
DATA repeat<>+0x0e0(SB)/8, $0x0706050403020100
DATA repeat<>+0x0e8(SB)/8, $0x01000d0c0b0a0908
DATA repeat<>+0x0f0(SB)/8, $0x0706050403020100
DATA repeat<>+0x0f8(SB)/8, $0x000e0d0c0b0a0908
DATA repeat<>+0x100(SB)/8, $0x0706050403020100
DATA repeat<>+0x108(SB)/8, $0x0f0e0d0c0b0a0908
GLOBL repeat<>(SB), RODATA|NOPTR, $0x110

// Byte i is the largest multiple of i that is at most 16.
DATA stride<>+0x00(SB)/8, $0x0e0c0f100f101000
DATA stride<>+0x08(SB)/8, $0x0f0e0d0c0b0a0910
GLOBL stride<>(SB), RODATA|NOPTR, $0x10

// Registers of the loop:
//   AX entry, BX bits, CX count of bits (its low 6 bits), SI next of src, DI next of dst
//   R8 Decoder (litlen is its first field), R9 last SI, R10 last DI, R11 last end of a match, R12 litlenBits
//   R13 stream, BP is left alone, DX R14 R15 free

#define REFILL \
	MOVQ  (SI), DX; \
	SHLXQ CX, DX, DX; \
	ORQ   DX, BX; \
	MOVL  CX, DX; \
	SHRL  $3, DX; \
	ANDL  $7, DX; \
	XORL  $7, DX; \
	ADDQ  DX, SI; \
	ORL   $56, CX

#define DROP(e) \
	SHRXQ e, BX, BX; \
	SUBL  e, CX

// Store the literal of AX and look up the next entry.
#define LITERAL \
	DROP(AX); \
	MOVL  AX, R15; \
	BZHIQ R12, BX, DX; \
	SHRL  $const_entryValue, R15; \
	MOVL  (R8)(DX*4), AX; \
	MOVB  R15, (DI); \
	INCQ  DI

// Drop entry e and set v to its base plus extra bits. Uses t.
#define VALUE(e, v, t) \
	BZHIQ e, BX, v; \
	MOVL  e, t; \
	SHRL  $const_entryCodeBits, t; \
	SHRXQ t, v, v; \
	DROP(e); \
	SHRL  $const_entryValue, e; \
	ADDL  e, v

// func decodeFast(d *Decoder, s *stream) (stop, length, distance int)
TEXT ·decodeFast(SB), NOSPLIT, $0-40
	MOVQ d+0(FP), R8
	MOVQ s+8(FP), R13
	MOVQ stream_src(R13), SI
	MOVQ stream_src+8(R13), R9
	LEAQ -const_fastIn(SI)(R9*1), R9
	ADDQ stream_in(R13), SI
	MOVQ stream_dst(R13), DI
	MOVQ stream_dst+8(R13), R10
	LEAQ -const_overrun(DI)(R10*1), R11
	LEAQ -const_fastOut(DI)(R10*1), R10
	ADDQ stream_out(R13), DI
	MOVQ stream_bits(R13), BX
	MOVQ stream_nbits(R13), CX
	MOVL $const_litlenBits, R12

	XORL R14, R14
	MOVQ R14, length+24(FP)
	MOVQ R14, distance+32(FP)

	CMPQ SI, R9
	JA   room
	REFILL
	BZHIQ R12, BX, DX
	MOVL  (R8)(DX*4), AX

loop:
	CMPQ SI, R9
	JA   room
	CMPQ DI, R10
	JA   room
	REFILL
	TESTL $const_isLiteral, AX
	JZ    match
	LITERAL
	TESTL $const_isLiteral, AX
	JZ    match
	LITERAL
	TESTL $const_isLiteral, AX
	JZ    match
	LITERAL
	JMP   loop

match:
	TESTL $const_isSpecial, AX
	JNZ   special

length:
	VALUE(AX, R14, R15)
	MOVL  $const_distBits, DX
	BZHIQ DX, BX, DX
	MOVL  Decoder_dist(R8)(DX*4), AX
	REFILL
	TESTL $const_isSpecial, AX
	JNZ   distSubtable

distance:
	VALUE(AX, R15, DX)
	BZHIQ R12, BX, DX
	MOVL  (R8)(DX*4), AX

	// R14 is the length, R15 the distance; from here DX points at the match.
	MOVQ DI, DX
	SUBQ R15, DX
	CMPQ DX, stream_dst(R13)
	JB   corrupt
	ADDQ DI, R14
	CMPQ R14, R11
	JA   tail

	MOVL    $16, DX
	CMPQ    R15, DX
	CMOVLLT R15, DX
	SHLL    $4, DX
	NEGQ    R15
	VMOVDQU (DI)(R15*1), X0
	LEAQ    repeat<>(SB), R12
	VPSHUFB (R12)(DX*1), X0, X0
	MOVL    $const_litlenBits, R12
	VMOVDQU X0, (DI)
	ADDQ    $16, DI
	CMPQ    DI, R14
	JB      long
	MOVQ    R14, DI
	JMP     loop

long:
	CMPL DX, $256
	JB   short

copy:
	VMOVDQU (DI)(R15*1), X0
	VMOVDQU X0, (DI)
	ADDQ    $16, DI
	CMPQ    DI, R14
	JB      copy
	MOVQ    R14, DI
	JMP     loop

short:
	LEAQ    stride<>(SB), DX
	NEGQ    R15
	MOVBLZX (DX)(R15*1), DX
	LEAQ    -16(DI)(DX*1), DI

pattern:
	VMOVDQU X0, (DI)
	ADDQ    DX, DI
	CMPQ    DI, R14
	JB      pattern
	MOVQ    R14, DI
	JMP     loop

special:
	TESTL $const_isSubtable, AX
	JZ    end
	DROP(AX)
	MOVL  AX, R15
	SHRL  $const_entryCodeBits, R15
	ANDL  $const_entryCodeMask, R15
	BZHIQ R15, BX, DX
	SHRL  $const_entryValue, AX
	ADDL  AX, DX
	MOVL  (R8)(DX*4), AX
	TESTL $const_isLiteral, AX
	JNZ   literal
	TESTL $const_isSpecial, AX
	JZ    length

end:
	DROP(AX)
	TESTL $const_isEnd, AX
	JZ    corrupt
	MOVQ  $const_stopEnd, R14
	JMP   done

literal:
	LITERAL
	JMP loop

distSubtable:
	TESTL $const_isSubtable, AX
	JZ    corrupt
	DROP(AX)
	MOVL  AX, R15
	SHRL  $const_entryCodeBits, R15
	ANDL  $const_entryCodeMask, R15
	BZHIQ R15, BX, DX
	SHRL  $const_entryValue, AX
	ADDL  AX, DX
	MOVL  Decoder_dist(R8)(DX*4), AX
	TESTL $const_isSpecial, AX
	JZ    distance

corrupt:
	MOVQ $const_stopCorrupt, R14
	JMP  done

tail:
	SUBQ DI, R14
	MOVQ R14, length+24(FP)
	MOVQ R15, distance+32(FP)
	MOVQ $const_stopMatch, R14
	JMP  done

room:
	MOVQ $const_stopRoom, R14

done:
	MOVQ  R14, stop+16(FP)
	ANDL  $63, CX
	BZHIQ CX, BX, BX
	MOVQ  BX, stream_bits(R13)
	MOVQ  CX, stream_nbits(R13)
	SUBQ  stream_src(R13), SI
	SUBQ  stream_dst(R13), DI
	MOVQ  SI, stream_in(R13)
	MOVQ  DI, stream_out(R13)
	RET
