package qcow2

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/blockmill/blockmill/convert/badimage"
)

// features is one of the header's bit masks.
type features uint64

const (
	incompatDirty       features = 1 << 0
	incompatCorrupt     features = 1 << 1
	incompatDataFile    features = 1 << 2
	incompatCompression features = 1 << 3
	incompatExtendedL2  features = 1 << 4
	incompatKnown                = incompatDirty | incompatCorrupt | incompatDataFile | incompatCompression | incompatExtendedL2

	compatLazyRefcounts features = 1 << 0

	autoclearBitmaps features = 1 << 0
	autoclearRawData features = 1 << 1
)

func (f features) has(bit features) bool { return f&bit != 0 }

// Values of compression_type.
const (
	compressionZlib = 0
	compressionZstd = 1
)

// checkFeatures refuses feature bits that are unknown, that ask for what is
// not done here, or that contradict the other fields.
func (h header) checkFeatures(ext extensions) error {
	if unknown := h.incompatible &^ incompatKnown; unknown != 0 {
		return unsupported("incompatible_features", 72, h.nameFeatures(unknown, ext), "known features only")
	}
	if h.incompatible.has(incompatDataFile) {
		return unsupported("external data file", 72, "not named", "an image that stands alone")
	}
	if h.incompatible.has(incompatCorrupt) {
		return corrupt("incompatible_features", 72, "the corrupt bit is set", "an image that its last writer did not find corrupt")
	}
	if h.autoclear.has(autoclearRawData) {
		return corrupt("autoclear_features", 88, badimage.Hex(h.autoclear), "no raw external data bit without a data file")
	}
	if h.autoclear.has(autoclearBitmaps) && !ext.hasBitmaps {
		return corrupt("autoclear_features", 88, badimage.Hex(h.autoclear), "a bitmaps extension where its bit is set")
	}
	if h.incompatible.has(incompatExtendedL2) && h.clusterBits < minClusterBitsExt {
		return corrupt("cluster_bits", 20, badimage.Int(h.clusterBits), "14 at least with extended L2 entries")
	}
	return h.checkCompression()
}

func (h header) checkCompression() error {
	if !h.incompatible.has(incompatCompression) {
		if h.compressionType != compressionZlib {
			return corrupt("compression_type", 104, badimage.Int(h.compressionType), "0 without the compression feature bit")
		}
		return nil
	}
	switch {
	case h.headerLength <= headerLenV3:
		return corrupt("header_length", 100, badimage.Int(h.headerLength), "a compression_type field where the compression feature bit is set")
	case h.compressionType == compressionZlib:
		return corrupt("compression_type", 104, badimage.Int(h.compressionType), "another than zlib where the compression feature bit is set")
	case h.compressionType != compressionZstd:
		return unsupported("compression_type", 104, badimage.Int(h.compressionType), "0 (zlib) or 1 (zstd)")
	}
	return nil
}

// nameFeatures lists incompatible features by the names that the image gives
// them.
func (h header) nameFeatures(f features, ext extensions) string {
	var names []string
	for f != 0 {
		bit := bits.TrailingZeros64(uint64(f))
		f &^= 1 << bit
		if name, ok := ext.incompatNames[bit]; ok {
			names = append(names, fmt.Sprintf("bit %d %s", bit, badimage.Quote(name)))
		} else {
			names = append(names, fmt.Sprintf("bit %d", bit))
		}
	}
	return strings.Join(names, ", ")
}
