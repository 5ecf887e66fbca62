package inflate

import "math/bits"

// A codeBuilder turns code lengths into a decoding table.
type codeBuilder struct {
	count  [maxCodeBits + 1]uint16
	sorted [litlenSymbols]uint16 // symbols by code length, then by value
}

// build fills table for the canonical code whose symbol s has lens[s] bits (0: unused) and decodes to entries[s].
// Codes longer than root bits go through subtables behind the first 1<<root entries. It reports false for a set of
// lengths that zlib refuses: over-subscribed, or incomplete and not a single code of one bit.
func (b *codeBuilder) build(table []entry, root uint, entries []entry, lens []uint8) bool {
	b.countLengths(lens)
	left := 1
	var next [maxCodeBits + 2]uint16
	for n := 1; n <= maxCodeBits; n++ {
		left = left<<1 - int(b.count[n])
		if left < 0 {
			return false
		}
		next[n+1] = next[n] + b.count[n]
	}
	for s, n := range lens {
		if n != 0 {
			b.sorted[next[n&maxCodeBits]] = uint16(s)
			next[n&maxCodeBits]++
		}
	}
	if left > 0 {
		return b.fillIncomplete(table[:1<<root], entries, int(next[maxCodeBits+1]))
	}
	b.fill(table, root, entries)
	return true
}

// countLengths counts the symbols of each length. Neighbours often have the same, so they are counted apart, for an
// addition not to wait for the one before it.
func (b *codeBuilder) countLengths(lens []uint8) {
	var odd [maxCodeBits + 1]uint16
	b.count = odd
	for ; len(lens) > 1; lens = lens[2:] {
		b.count[lens[0]&maxCodeBits]++
		odd[lens[1]&maxCodeBits]++
	}
	for _, n := range lens {
		b.count[n&maxCodeBits]++
	}
	for n, c := range odd {
		b.count[n] += c
	}
	b.count[0] = 0
}

// fillIncomplete builds the two incomplete codes that zlib takes: no symbol at all, and one symbol of one bit.
func (b *codeBuilder) fillIncomplete(table []entry, entries []entry, used int) bool {
	const invalid = isSpecial | entryCodeUnit
	even := invalid
	switch {
	case used == 1 && b.count[1] == 1:
		even = entries[b.sorted[0]] + entryCodeUnit
	case used != 0:
		return false
	}
	for i := 0; i < len(table); i += 2 {
		table[i], table[i+1] = even, invalid
	}
	return true
}

// fill lays out a complete code. Codes are visited in increasing length and order, their bits reversed as the
// stream has them. The table has the size of the current length and is doubled by copying whenever that grows.
func (b *codeBuilder) fill(table []entry, root uint, entries []entry) {
	var code, n uint
	end := uint(1)
	i := 0
	for n < root {
		n++
		if i > 0 {
			copy(table[end:2*end], table[:end])
		}
		end *= 2
		unit := entry(n) * entryCodeUnit
		for range b.count[n] {
			table[code] = entries[b.sorted[i]] + unit
			i++
			code = successor(code, end-1)
		}
	}
	if i < len(b.sorted) && code != 0 {
		b.fillSubtables(table, root, entries, i, code)
	}
}

// successor returns the code after code, both bit-reversed; ones has all bits of its length set. The last code's
// successor is 0.
func successor(code, ones uint) uint {
	if code == ones {
		return 0
	}
	bit := uint(1) << (bits.Len(code^ones) - 1)
	return code&(bit-1) | bit
}

func (b *codeBuilder) fillSubtables(table []entry, root uint, entries []entry, i int, code uint) {
	var start, end uint
	end = 1 << root
	prefix := ^uint(0)
	for n := root + 1; n <= maxCodeBits; n++ {
		unit := entry(n-root) * entryCodeUnit
		ones := uint(1)<<n - 1
		for ; b.count[n] > 0; b.count[n]-- {
			if p := code & (1<<root - 1); p != prefix {
				prefix = p
				width := b.subtableBits(n, root)
				start, end = end, end+1<<width
				table[prefix] = isSpecial | isSubtable | entry(start)<<entryValue | entry(width)<<entryCodeBits | entry(root)
			}
			e := entries[b.sorted[i]] + unit
			for j := start + code>>root; j < end; j += 1 << (n - root) {
				table[j] = e
			}
			i++
			code = successor(code, ones)
		}
	}
}

// subtableBits returns the index width of a subtable that begins with a code of n bits: that of the longest code
// which still shares its root bits. b.count holds the codes not yet placed.
func (b *codeBuilder) subtableBits(n, root uint) uint {
	width := n - root
	filled := uint(b.count[n])
	for filled < 1<<width {
		width++
		filled = filled<<1 + uint(b.count[root+width])
	}
	return width
}
