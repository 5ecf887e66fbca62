package vmdk

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/blockmill/blockmill/convert/badimage"
)

// format is the name of the format in errors.
const format = "vmdk"

const (
	sectorSize = 512
	// entriesPerTable is what every known writer uses, and all that VMware's
	// own readers take.
	entriesPerTable = 512
	entrySize       = 4
	tableSectors    = entriesPerTable * entrySize / sectorSize
	// minGrain and maxGrain bound the grain in sectors. The specification
	// gives the lower bound; the upper one bounds what a reader must hold.
	minGrain = 8
	maxGrain = 4 << 10
	// gdAtEnd in the header says that the footer has the place of the grain
	// directory.
	gdAtEnd = math.MaxUint64
	// maxDescriptor bounds the embedded or separate descriptor, in bytes.
	maxDescriptor = 1 << 20
)

const (
	headerMagic  = "KDMV"
	cowdMagic    = "COWD"
	sesparse     = "\xbe\xba\xfe\xca\x00\x00\x00\x00"
	descriptorID = "# Disk DescriptorFile"
	newlineTest  = "\n \r\n"
)

// Flags of the header.
const (
	flagNewline    = 1 << 0
	flagRedundant  = 1 << 1
	flagZeroGrain  = 1 << 2
	flagCompressed = 1 << 16
	flagMarkers    = 1 << 17
	knownFlags     = flagNewline | flagRedundant | flagZeroGrain | flagCompressed | flagMarkers
)

const compressDeflate = 1

// header is a SparseExtentHeader, one sector, little-endian without padding
// between fields. Offsets and sizes in it count sectors.
//
//	offset size field
//	     0    4 magicNumber "KDMV"
//	     4    4 version, 1 to 3
//	     8    4 flags
//	    12    8 capacity
//	    20    8 grainSize
//	    28    8 descriptorOffset
//	    36    8 descriptorSize
//	    44    4 numGTEsPerGT
//	    48    8 rgdOffset
//	    56    8 gdOffset
//	    64    8 overHead
//	    72    1 uncleanShutdown
//	    73    4 the bytes "\n \r\n", to find files that went through a text transfer
//	    77    2 compressAlgorithm
//	    79  433 padding
type header struct {
	version          uint32
	flags            uint32
	capacity         uint64
	grainSize        uint64
	descriptorOffset uint64
	descriptorSize   uint64
	numGTEsPerGT     uint32
	rgdOffset        uint64
	gdOffset         uint64
	overHead         uint64
	uncleanShutdown  uint8
	newline          [4]byte
	compress         uint16
}

// parseHeader decodes a header sector that stands at byte offset at. The
// padding is not looked at: vmdktool leaves bytes of its stack there.
func parseHeader(p []byte, at int64) (header, error) {
	switch {
	case string(p[:4]) == cowdMagic:
		return header{}, badimage.Unsupported(format, "magicNumber", at, "COWD (ESX sparse extent)", "KDMV")
	case string(p[:8]) == sesparse:
		return header{}, badimage.Unsupported(format, "magicNumber", at, "SESparse extent", "KDMV")
	case string(p[:4]) != headerMagic:
		return header{}, badimage.Corrupt(format, "magicNumber", at, badimage.Quote(p[:4]), "KDMV")
	}
	le := binary.LittleEndian
	return header{
		version:          le.Uint32(p[4:]),
		flags:            le.Uint32(p[8:]),
		capacity:         le.Uint64(p[12:]),
		grainSize:        le.Uint64(p[20:]),
		descriptorOffset: le.Uint64(p[28:]),
		descriptorSize:   le.Uint64(p[36:]),
		numGTEsPerGT:     le.Uint32(p[44:]),
		rgdOffset:        le.Uint64(p[48:]),
		gdOffset:         le.Uint64(p[56:]),
		overHead:         le.Uint64(p[64:]),
		uncleanShutdown:  p[72],
		newline:          [4]byte(p[73:77]),
		compress:         le.Uint16(p[77:]),
	}, nil
}

// encode writes the header into the sector p, which must be zero.
func (h *header) encode(p []byte) {
	le := binary.LittleEndian
	copy(p, headerMagic)
	le.PutUint32(p[4:], h.version)
	le.PutUint32(p[8:], h.flags)
	le.PutUint64(p[12:], h.capacity)
	le.PutUint64(p[20:], h.grainSize)
	le.PutUint64(p[28:], h.descriptorOffset)
	le.PutUint64(p[36:], h.descriptorSize)
	le.PutUint32(p[44:], h.numGTEsPerGT)
	le.PutUint64(p[48:], h.rgdOffset)
	le.PutUint64(p[56:], h.gdOffset)
	le.PutUint64(p[64:], h.overHead)
	p[72] = h.uncleanShutdown
	copy(p[73:], h.newline[:])
	le.PutUint16(p[77:], h.compress)
}

func (h *header) compressed() bool { return h.flags&flagCompressed != 0 }
func (h *header) markers() bool    { return h.flags&flagMarkers != 0 }
func (h *header) redundant() bool  { return h.flags&flagRedundant != 0 }
func (h *header) zeroGrains() bool { return h.flags&flagZeroGrain != 0 }

// grains is the number of grains, the last perhaps in part.
func (h *header) grains() int64 {
	return int64((h.capacity + h.grainSize - 1) / h.grainSize)
}

// tables is the number of grain tables, the entries of the grain directory.
func (h *header) tables() int64 {
	return (h.grains() + entriesPerTable - 1) / entriesPerTable
}

// directorySectors is the size of the grain directory.
func (h *header) directorySectors() uint64 {
	return uint64(h.tables()*entrySize+sectorSize-1) / sectorSize
}

// validate checks the fields that need neither the file nor other fields'
// copies. at is the header's byte offset, maxSize the largest virtual size in
// bytes.
func (h *header) validate(at, maxSize int64) error {
	if err := h.validateFlags(at); err != nil {
		return err
	}
	if h.numGTEsPerGT != entriesPerTable {
		return badimage.Unsupported(format, "numGTEsPerGT", at+44, badimage.Int(h.numGTEsPerGT), "512")
	}
	if bits.OnesCount64(h.grainSize) != 1 || h.grainSize < minGrain || h.grainSize > maxGrain {
		return badimage.Corrupt(format, "grainSize", at+20, badimage.Int(h.grainSize),
			"a power of two from "+badimage.Int(minGrain)+" to "+badimage.Int(maxGrain))
	}
	if h.capacity == 0 {
		return badimage.Corrupt(format, "capacity", at+12, "0", "at least 1 sector")
	}
	if h.capacity > uint64(maxSize)/sectorSize {
		return badimage.Unsupported(format, "capacity", at+12, badimage.Int(h.capacity),
			"at most "+badimage.Int(maxSize/sectorSize)+" sectors")
	}
	return nil
}

func (h *header) validateFlags(at int64) error {
	if h.version < 1 || h.version > 3 {
		return badimage.Unsupported(format, "version", at+4, badimage.Int(h.version), "1, 2 or 3")
	}
	if h.flags&^uint32(knownFlags) != 0 {
		return badimage.Unsupported(format, "flags", at+8, badimage.Hex(h.flags), "no bits beyond "+badimage.Hex(uint32(knownFlags)))
	}
	if h.zeroGrains() && h.version < 2 {
		return badimage.Corrupt(format, "flags", at+8, badimage.Hex(h.flags), "no zeroed grains in version 1")
	}
	if h.flags&flagNewline != 0 && string(h.newline[:]) != newlineTest {
		return badimage.Corrupt(format, "newline test", at+73, badimage.Quote(h.newline[:]), badimage.Quote(newlineTest))
	}
	if h.uncleanShutdown > 1 {
		return badimage.Corrupt(format, "uncleanShutdown", at+72, badimage.Int(h.uncleanShutdown), "0 or 1")
	}
	if h.compressed() != h.markers() {
		return badimage.Unsupported(format, "flags", at+8, badimage.Hex(h.flags), "compressed grains and markers together")
	}
	want := uint16(0)
	if h.compressed() {
		want = compressDeflate
	}
	if h.compress != want {
		return badimage.Unsupported(format, "compressAlgorithm", at+77, badimage.Int(h.compress), badimage.Int(want))
	}
	return nil
}
