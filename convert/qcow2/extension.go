package qcow2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/blockmill/blockmill/convert/badimage"
)

// Types of header extensions; others are ignored, as the specification says.
const (
	extEnd           = 0x00000000
	extBackingFormat = 0xe2792aca
	extFeatureNames  = 0x6803f857
	extBitmaps       = 0x23852875
	extCrypto        = 0x0537be77
	extDataFile      = 0x44415441
)

const (
	extHeaderLen   = 8  // type and length
	featureNameLen = 48 // type, bit, name
	bitmapsExtLen  = 24
	maxBitmaps     = 65535
)

// extensions is what the header extensions say.
type extensions struct {
	incompatNames map[int][]byte // feature names by bit
	hasBitmaps    bool
	bitmaps       bitmapsExtension
}

// bitmapsExtension is the content of the bitmaps extension. It holds only
// where the autoclear bit is set.
//
//	offset size field
//	     0    4 nb_bitmaps
//	     4    4 reserved, zero
//	     8    8 bitmap_directory_size
//	    16    8 bitmap_directory_offset
type bitmapsExtension struct {
	fieldOffset     int64 // of the extension's data in the file
	count           uint32
	directorySize   uint64
	directoryOffset uint64
}

// readExtensions reads the area between the header and the end of its
// cluster.
func readExtensions(src io.ReaderAt, fileSize int64, h header) (extensions, error) {
	area := make([]byte, min(int64(1)<<h.clusterBits, fileSize)-int64(h.headerLength))
	if err := readFull(src, area, int64(h.headerLength)); err != nil {
		return extensions{}, fmt.Errorf("read header extensions: %w", err)
	}
	var ext extensions
	seen := make(map[uint32]bool)
	for pos := 0; len(area)-pos >= extHeaderLen; {
		at := int64(h.headerLength) + int64(pos)
		kind := binary.BigEndian.Uint32(area[pos:])
		length := int64(binary.BigEndian.Uint32(area[pos+4:]))
		pos += extHeaderLen
		if length > int64(len(area)-pos) {
			return ext, corrupt("header extension length", at+4, badimage.Int(length), "an extension inside the first cluster")
		}
		if kind == extEnd {
			break
		}
		if err := ext.add(h, kind, area[pos:pos+int(length)], at, seen); err != nil {
			return ext, err
		}
		pos += int(length+7) &^ 7
	}
	return ext, nil
}

// add takes one extension, whose header is at offset at.
func (ext *extensions) add(h header, kind uint32, data []byte, at int64, seen map[uint32]bool) error {
	switch kind {
	case extBackingFormat, extFeatureNames, extBitmaps, extDataFile:
		if seen[kind] {
			return corrupt("header extension type", at, badimage.Hex(kind), "each type once")
		}
		seen[kind] = true
	}
	switch kind {
	case extFeatureNames:
		return ext.addFeatureNames(data, at)
	case extBitmaps:
		return ext.addBitmaps(h, data, at)
	case extDataFile:
		return unsupported("external data file", at, badimage.Quote(data), "an image that stands alone")
	case extCrypto:
		return unsupported("full disk encryption header", at, "present", "no encryption")
	}
	return nil
}

func (ext *extensions) addFeatureNames(data []byte, at int64) error {
	if len(data)%featureNameLen != 0 {
		return corrupt("feature name table length", at+4, badimage.Int(len(data)), "a multiple of 48")
	}
	ext.incompatNames = make(map[int][]byte)
	for e := range slices.Chunk(data, featureNameLen) {
		if e[0] == 0 && e[1] < 64 {
			ext.incompatNames[int(e[1])] = bytes.TrimRight(e[2:], "\x00")
		}
	}
	return nil
}

func (ext *extensions) addBitmaps(h header, data []byte, at int64) error {
	if len(data) != bitmapsExtLen {
		return corrupt("bitmaps extension length", at+4, badimage.Int(len(data)), "24")
	}
	ext.hasBitmaps = true
	if !h.autoclear.has(autoclearBitmaps) {
		return nil // inconsistent by the specification, to be ignored
	}
	be := binary.BigEndian
	ext.bitmaps = bitmapsExtension{
		fieldOffset:     at + extHeaderLen,
		count:           be.Uint32(data),
		directorySize:   be.Uint64(data[8:]),
		directoryOffset: be.Uint64(data[16:]),
	}
	b := ext.bitmaps
	switch {
	case b.count == 0 || b.count > maxBitmaps:
		return corrupt("nb_bitmaps", b.fieldOffset, badimage.Int(b.count), "1 to 65535")
	case be.Uint32(data[4:]) != 0:
		return corrupt("bitmaps extension reserved field", b.fieldOffset+4, badimage.Hex(be.Uint32(data[4:])), "0")
	case b.directorySize < uint64(b.count)*bitmapEntryLen || b.directorySize > maxBitmapDirectory:
		return corrupt("bitmap_directory_size", b.fieldOffset+8, badimage.Int(b.directorySize), "24 to 1048 bytes for each bitmap")
	}
	return nil
}
