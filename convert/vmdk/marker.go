package vmdk

import (
	"encoding/binary"

	"github.com/blockmill/blockmill/convert/badimage"
)

// Types of metadata markers. The last is not in the specification: vSphere
// writes it now and then, a sector that says how far the writer is.
const (
	markerEOS      = 0
	markerGT       = 1
	markerGD       = 2
	markerFooter   = 3
	markerProgress = 4
)

// marker stands before everything in a streamOptimized extent after the
// descriptor, at the start of a sector:
//
//	offset size field
//	     0    8 val: the sectors that follow; before a grain, its first guest sector
//	     8    4 size: 0; before a grain, the bytes of its compressed data
//	    12    4 type; before a grain, the data begins here
type marker struct {
	val  uint64
	size uint32
	kind uint32
}

const (
	// grainMarkerSize is what precedes a grain's data.
	grainMarkerSize = 12
	markerSize      = 16
)

func parseMarker(p []byte) marker {
	le := binary.LittleEndian
	return marker{val: le.Uint64(p), size: le.Uint32(p[8:]), kind: le.Uint32(p[12:])}
}

// parseGrainMarker parses a marker that may be the last bytes of a file.
func parseGrainMarker(p []byte) marker {
	le := binary.LittleEndian
	return marker{val: le.Uint64(p), size: le.Uint32(p[8:])}
}

// sectors is what a grain takes with its marker.
func (m marker) sectors() int64 { return sectorsOf(grainMarkerSize + int64(m.size)) }

func (m marker) encode(p []byte) {
	le := binary.LittleEndian
	le.PutUint64(p, m.val)
	le.PutUint32(p[8:], m.size)
	le.PutUint32(p[12:], m.kind)
}

// checkMetadata checks the marker of the named table or footer at byte offset
// at.
func (m marker) checkMetadata(what string, at int64, kind uint32, sectors uint64) error {
	switch {
	case m.size != 0:
		return badimage.Corrupt(format, "marker size of "+what, at+8, badimage.Int(m.size), "0")
	case m.kind != kind:
		return badimage.Corrupt(format, "marker type of "+what, at+12, badimage.Int(m.kind), badimage.Int(kind))
	case m.val != sectors:
		return badimage.Corrupt(format, "marker value of "+what, at, badimage.Int(m.val), badimage.Int(sectors))
	}
	return nil
}

// sectorsOf is the number of sectors that n bytes take.
func sectorsOf(n int64) int64 { return (n + sectorSize - 1) / sectorSize }
