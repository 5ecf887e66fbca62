// The compression function of BLAKE3 (specification, 2.2) over vectors: word i of the state of every lane is in Vi,
// word i of its message in Mi. V0 to V7 begin as the chaining value, the rest is set by the caller.

// Half a round: four G over the columns or the diagonals, one instruction of each in turn. The last two are one step
// behind, so that the rotations of all four do not wait for the same unit.
#define HALF(a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3, x0, x1, x2, x3, y0, y1, y2, y3) \
	VPADDD x0, a0, a0; VPADDD x1, a1, a1; \
	VPADDD b0, a0, a0; VPADDD b1, a1, a1; VPADDD x2, a2, a2; VPADDD x3, a3, a3; \
	VPXORD a0, d0, d0; VPXORD a1, d1, d1; VPADDD b2, a2, a2; VPADDD b3, a3, a3; \
	VPRORD $16, d0, d0; VPRORD $16, d1, d1; VPXORD a2, d2, d2; VPXORD a3, d3, d3; \
	VPADDD d0, c0, c0; VPADDD d1, c1, c1; VPRORD $16, d2, d2; VPRORD $16, d3, d3; \
	VPXORD c0, b0, b0; VPXORD c1, b1, b1; VPADDD d2, c2, c2; VPADDD d3, c3, c3; \
	VPRORD $12, b0, b0; VPRORD $12, b1, b1; VPXORD c2, b2, b2; VPXORD c3, b3, b3; \
	VPADDD y0, a0, a0; VPADDD y1, a1, a1; VPRORD $12, b2, b2; VPRORD $12, b3, b3; \
	VPADDD b0, a0, a0; VPADDD b1, a1, a1; VPADDD y2, a2, a2; VPADDD y3, a3, a3; \
	VPXORD a0, d0, d0; VPXORD a1, d1, d1; VPADDD b2, a2, a2; VPADDD b3, a3, a3; \
	VPRORD $8, d0, d0; VPRORD $8, d1, d1; VPXORD a2, d2, d2; VPXORD a3, d3, d3; \
	VPADDD d0, c0, c0; VPADDD d1, c1, c1; VPRORD $8, d2, d2; VPRORD $8, d3, d3; \
	VPXORD c0, b0, b0; VPXORD c1, b1, b1; VPADDD d2, c2, c2; VPADDD d3, c3, c3; \
	VPRORD $7, b0, b0; VPRORD $7, b1, b1; VPXORD c2, b2, b2; VPXORD c3, b3, b3; \
	VPRORD $7, b2, b2; VPRORD $7, b3, b3

#define ROUND(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15) \
	HALF(V0, V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12, V13, V14, V15, m0, m2, m4, m6, m1, m3, m5, m7); \
	HALF(V0, V1, V2, V3, V5, V6, V7, V4, V10, V11, V8, V9, V15, V12, V13, V14, m8, m10, m12, m14, m9, m11, m13, m15)

// All rounds, then the next chaining value in V0 to V7.
#define COMPRESS \
	ROUND(M0, M1, M2, M3, M4, M5, M6, M7, M8, M9, M10, M11, M12, M13, M14, M15); \
	ROUND(M2, M6, M3, M10, M7, M0, M4, M13, M1, M11, M12, M5, M9, M14, M15, M8); \
	ROUND(M3, M4, M10, M12, M13, M2, M7, M14, M6, M5, M9, M0, M11, M15, M8, M1); \
	ROUND(M10, M7, M12, M9, M14, M3, M13, M15, M4, M0, M11, M2, M5, M8, M1, M6); \
	ROUND(M12, M13, M9, M11, M15, M10, M14, M8, M7, M2, M5, M3, M0, M1, M6, M4); \
	ROUND(M9, M14, M11, M5, M8, M12, M15, M1, M13, M3, M0, M10, M2, M6, M4, M7); \
	ROUND(M11, M15, M5, M0, M1, M9, M8, M6, M14, M10, M2, M12, M3, M4, M7, M13); \
	VPXORD V8, V0, V0; VPXORD V9, V1, V1; VPXORD V10, V2, V2; VPXORD V11, V3, V3; \
	VPXORD V12, V4, V4; VPXORD V13, V5, V5; VPXORD V14, V6, V6; VPXORD V15, V7, V7

// Four vectors become their transpose within each block of four words. Uses V8 to V11.
#define TRANSPOSE(a, b, c, d) \
	VPUNPCKLDQ b, a, V8; \
	VPUNPCKHDQ b, a, V9; \
	VPUNPCKLDQ d, c, V10; \
	VPUNPCKHDQ d, c, V11; \
	VPUNPCKLQDQ V10, V8, a; \
	VPUNPCKHQDQ V10, V8, b; \
	VPUNPCKLQDQ V11, V9, c; \
	VPUNPCKHQDQ V11, V9, d
