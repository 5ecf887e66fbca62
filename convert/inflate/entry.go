package inflate

// An entry of a decoding table tells what the next bits of the stream stand for.
//
//	bits   all            literal               length, distance    subtable
//	0-7    bits to drop   code                  code + extra bits   bits of the main table
//	8-11                  code                  code                bits of the subtable
//	13                    0                     0                   1
//	14     special        0                     0                   1
//	15     literal        1                     0                   0
//	16-31                 byte                  base                index of the subtable
//
// Special entries without bit 13 are the end of the block (bit 12) and bits that no code begins with.
type entry = uint32

const (
	isEnd      entry = 1 << 12
	isSubtable entry = 1 << 13
	isSpecial  entry = 1 << 14
	isLiteral  entry = 1 << 15

	entryValue    = 16
	entryCodeBits = 8
	entryCodeMask = 15
	entryCodeUnit = 1<<entryCodeBits | 1 // added once per bit of the code: counts in both fields
)

// Sizes of the alphabets (RFC 1951, 3.2.5 to 3.2.7).
const (
	litlenSymbols = 288
	distSymbols   = 32
	codeSymbols   = 19
	endOfBlock    = 256
	maxCodeBits   = 15
	maxMatch      = 258
)

// Sizes of the tables. A complete code of 288 symbols needs at most 2342 entries with 11 root bits, one of 32
// symbols at most 402 with 8 (counted by zlib's examples/enough.c); the arrays are powers of two so that a mask
// proves every index.
const (
	litlenBits = 11
	litlenSize = 4096
	distBits   = 8
	distSize   = 512
	codeBits   = 7
	codeSize   = 1 << codeBits
)

// What each symbol decodes to, without the bits of its code. Symbols that a stream must not use are special.
var (
	litlenEntries = newLitlenEntries()
	distEntries   = newDistEntries()
	codeEntries   = newCodeEntries()
)

func newLitlenEntries() (t [litlenSymbols]entry) {
	for i := range endOfBlock {
		t[i] = isLiteral | entry(i)<<entryValue
	}
	t[endOfBlock] = isSpecial | isEnd
	base := 3
	for i := range 28 {
		extra := max(0, i/4-1)
		t[endOfBlock+1+i] = entry(base)<<entryValue | entry(extra)
		base += 1 << extra
	}
	t[285] = maxMatch << entryValue
	t[286], t[287] = isSpecial, isSpecial
	return t
}

func newDistEntries() (t [distSymbols]entry) {
	base := 1
	for i := range 30 {
		extra := max(0, i/2-1)
		t[i] = entry(base)<<entryValue | entry(extra)
		base += 1 << extra
	}
	t[30], t[31] = isSpecial, isSpecial
	return t
}

func newCodeEntries() (t [codeSymbols]entry) {
	for i := range t {
		t[i] = entry(i) << entryValue
	}
	return t
}
