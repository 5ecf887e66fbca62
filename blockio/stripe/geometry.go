package stripe

import "github.com/blockmill/blockmill/blockio"

// DefaultUnit is the bytes of a full row on one shard.
const DefaultUnit = 1 << 20

// maxShards is what the erasure code and the member sets can take.
const maxShards = 256

// maxUnit bounds the unit, and so the memory of a row.
const maxUnit = 16 << 20

// geometry is the shape of a stripe: k data and m parity shards, and the bytes
// of a full row on each.
type geometry struct {
	k, m, unit int
}

func (g geometry) shards() int { return g.k + g.m }

// rowSize is the object's bytes in a full row.
func (g geometry) rowSize() int64 { return int64(g.k) * int64(g.unit) }

// writeQuorum is how many shards must hold an object before its commit is
// acknowledged.
func (g geometry) writeQuorum() int {
	if g.m == 0 {
		return g.k
	}
	return g.k + 1
}

// changeQuorum is how many members must agree on the membership before
// anything changes. Two such sets always meet, and one always meets the
// writeQuorum shards of any acknowledged object.
func (g geometry) changeQuorum() int {
	return max(g.writeQuorum(), g.m)
}

// layout places an object's bytes on shards. Row r is at r*unit of each shard.
type layout struct {
	geometry
	size     int64 // sealed size of the object
	full     int64 // full rows
	tail     int   // bytes of the object in the tail row, 0 without one
	tailUnit int   // bytes of the tail row on one shard
}

func (g geometry) layout(size int64) layout {
	l := layout{geometry: g, size: size, full: size / g.rowSize(), tail: int(size % g.rowSize())}
	l.tailUnit = g.tailUnit(l.tail)
	return l
}

// tailUnit is the least multiple of blockio.BlockSize of which k hold n bytes.
func (g geometry) tailUnit(n int) int {
	each := (n + g.k - 1) / g.k
	return (each + blockio.BlockSize - 1) / blockio.BlockSize * blockio.BlockSize
}

func (l layout) rows() int64 {
	if l.tail > 0 {
		return l.full + 1
	}
	return l.full
}

// unitOf is the bytes of a row on one shard.
func (l layout) unitOf(row int64) int {
	if row < l.full {
		return l.unit
	}
	return l.tailUnit
}

// shardBytes is the bytes of units on one shard.
func (l layout) shardBytes() int64 { return l.full*int64(l.unit) + int64(l.tailUnit) }

// dataIn is how many bytes of the object a unit of a data shard holds; the
// rest of the unit is zeros.
func (l layout) dataIn(row int64, shard int) int {
	if row < l.full {
		return l.unit
	}
	return max(0, min(l.tailUnit, l.tail-shard*l.tailUnit))
}

// objectOffset is where in the object a data shard's unit begins.
func (l layout) objectOffset(row int64, shard int) int64 {
	return row*l.rowSize() + int64(shard)*int64(l.unitOf(row))
}

// piece is a part of an object inside one unit.
type piece struct {
	row   int64
	shard int
	at    int // in the unit
	dst   []byte
}

// next is the piece at the beginning of p, which is to be read from off; p
// must not be empty, nor reach beyond the size.
func (l layout) next(p []byte, off int64) piece {
	row := off / l.rowSize()
	unit := l.unitOf(row)
	rel := int(off - row*l.rowSize())
	pc := piece{row: row, shard: rel / unit, at: rel % unit}
	pc.dst = p[:min(len(p), unit-pc.at)]
	return pc
}
