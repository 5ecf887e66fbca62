package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/blockmill/blockmill/convert/badimage"
)

const format = "qcow2"

const magic = 0x514649fb // "QFI\xfb"

// Lengths of the header in bytes.
const (
	headerLenV2  = 72
	headerLenV3  = 104 // the least that version 3 allows
	headerLenNow = 112 // with compression_type and its padding
)

// Limits. Those of tables are QEMU's: no image beyond them was ever readable.
const (
	minClusterBits     = 9
	maxClusterBits     = 21
	minClusterBitsExt  = 14 // with extended L2 entries
	maxL1Bytes         = 32 << 20
	maxRefTableBytes   = 8 << 20
	maxSnapshots       = 65536
	maxBackingName     = 1023
	sectorSize         = 512
	maxRefcountOrder   = 6
	defaultRefcountOrd = 4
)

// header is the file's header, by the specification's section "Header". All
// integers are big-endian.
//
//	offset size field
//	     0    4 magic
//	     4    4 version
//	     8    8 backing_file_offset
//	    16    4 backing_file_size
//	    20    4 cluster_bits
//	    24    8 size
//	    32    4 crypt_method
//	    36    4 l1_size
//	    40    8 l1_table_offset
//	    48    8 refcount_table_offset
//	    56    4 refcount_table_clusters
//	    60    4 nb_snapshots
//	    64    8 snapshots_offset
//	    72    8 incompatible_features  (from here: version 3)
//	    80    8 compatible_features
//	    88    8 autoclear_features
//	    96    4 refcount_order
//	   100    4 header_length
//	   104    1 compression_type       (where header_length > 104)
type header struct {
	version               uint32
	backingFileOffset     uint64
	backingFileSize       uint32
	clusterBits           uint32
	size                  uint64
	cryptMethod           uint32
	l1Size                uint32
	l1TableOffset         uint64
	refcountTableOffset   uint64
	refcountTableClusters uint32
	nbSnapshots           uint32
	snapshotsOffset       uint64
	incompatible          features
	compatible            features
	autoclear             features
	refcountOrder         uint32
	headerLength          uint32
	compressionType       uint8
}

// readHeader reads and checks the header and its extensions: everything that
// can be said of them without looking at a table.
func readHeader(src io.ReaderAt, fileSize int64, opts Options) (header, extensions, error) {
	if fileSize < headerLenV2 {
		return header{}, extensions{}, corrupt("file size", badimage.NoOffset, badimage.Int(fileSize), "a header of 72 bytes at least")
	}
	var raw [headerLenNow]byte
	n := min(int64(len(raw)), fileSize)
	if err := readFull(src, raw[:n], 0); err != nil {
		return header{}, extensions{}, fmt.Errorf("read header: %w", err)
	}
	h, err := parseHeader(&raw, fileSize)
	if err != nil {
		return h, extensions{}, err
	}
	if err := h.check(src, fileSize, opts); err != nil {
		return h, extensions{}, err
	}
	ext, err := readExtensions(src, fileSize, h)
	if err != nil {
		return h, ext, err
	}
	return h, ext, errors.Join(h.checkFeatures(ext), h.checkTables(fileSize))
}

// parseHeader decodes the fields, and refuses what makes the rest of the
// header meaningless. Bytes beyond the file are zero in raw.
func parseHeader(raw *[headerLenNow]byte, fileSize int64) (header, error) {
	be := binary.BigEndian
	if m := be.Uint32(raw[0:]); m != magic {
		return header{}, corrupt("magic", 0, badimage.Hex(m), badimage.Hex(uint32(magic)))
	}
	h := header{
		version:               be.Uint32(raw[4:]),
		backingFileOffset:     be.Uint64(raw[8:]),
		backingFileSize:       be.Uint32(raw[16:]),
		clusterBits:           be.Uint32(raw[20:]),
		size:                  be.Uint64(raw[24:]),
		cryptMethod:           be.Uint32(raw[32:]),
		l1Size:                be.Uint32(raw[36:]),
		l1TableOffset:         be.Uint64(raw[40:]),
		refcountTableOffset:   be.Uint64(raw[48:]),
		refcountTableClusters: be.Uint32(raw[56:]),
		nbSnapshots:           be.Uint32(raw[60:]),
		snapshotsOffset:       be.Uint64(raw[64:]),
		refcountOrder:         defaultRefcountOrd,
		headerLength:          headerLenV2,
	}
	switch h.version {
	case 2:
		return h, nil
	case 3:
	default:
		return h, unsupported("version", 4, badimage.Int(h.version), "2 or 3")
	}
	if fileSize < headerLenV3 {
		return h, corrupt("file size", badimage.NoOffset, badimage.Int(fileSize), "a header of 104 bytes at least")
	}
	h.incompatible = features(be.Uint64(raw[72:]))
	h.compatible = features(be.Uint64(raw[80:]))
	h.autoclear = features(be.Uint64(raw[88:]))
	h.refcountOrder = be.Uint32(raw[96:])
	h.headerLength = be.Uint32(raw[100:])
	if h.headerLength > headerLenV3 {
		h.compressionType = raw[104]
	}
	return h, nil
}

// check refuses fields that are wrong by themselves, and names what is not
// done here: other files, encryption.
func (h header) check(src io.ReaderAt, fileSize int64, opts Options) error {
	switch {
	case h.clusterBits < minClusterBits || h.clusterBits > maxClusterBits:
		return corrupt("cluster_bits", 20, badimage.Int(h.clusterBits), "9 to 21")
	case h.headerLength < headerLenV3 && h.version == 3:
		return corrupt("header_length", 100, badimage.Int(h.headerLength), "104 at least")
	case int64(h.headerLength) > int64(1)<<h.clusterBits:
		return corrupt("header_length", 100, badimage.Int(h.headerLength), "a header within one cluster")
	case int64(h.headerLength) > fileSize:
		return corrupt("header_length", 100, badimage.Int(h.headerLength), "a header inside the file")
	case h.headerLength%8 != 0:
		return corrupt("header_length", 100, badimage.Int(h.headerLength), "a multiple of 8")
	case h.backingFileOffset != 0 && !opts.Overlay:
		return unsupported("backing file", 8, h.backingName(src, fileSize), "an image that stands alone")
	case h.cryptMethod == 1:
		return unsupported("crypt_method", 32, "1 (AES)", "0, no encryption")
	case h.cryptMethod == 2:
		return unsupported("crypt_method", 32, "2 (LUKS)", "0, no encryption")
	case h.cryptMethod != 0:
		return corrupt("crypt_method", 32, badimage.Int(h.cryptMethod), "0 to 2")
	case h.size > math.MaxInt64:
		return corrupt("size", 24, badimage.Int(h.size), "less than 2^63")
	case h.size > uint64(opts.MaxSize):
		return unsupported("size", 24, badimage.Int(h.size), "at most "+badimage.Int(opts.MaxSize))
	case h.size%sectorSize != 0:
		return unsupported("size", 24, badimage.Int(h.size), "a multiple of 512")
	case h.refcountOrder > maxRefcountOrder:
		return corrupt("refcount_order", 96, badimage.Int(h.refcountOrder), "0 to 6")
	}
	return nil
}

// backingName is the name for the error that refuses it; it is never opened.
func (h header) backingName(src io.ReaderAt, fileSize int64) string {
	if h.backingFileSize > maxBackingName || h.backingFileOffset > uint64(fileSize) ||
		int64(h.backingFileSize) > fileSize-int64(h.backingFileOffset) {
		return fmt.Sprintf("%d bytes at %d", h.backingFileSize, h.backingFileOffset)
	}
	name := make([]byte, h.backingFileSize)
	if err := readFull(src, name, int64(h.backingFileOffset)); err != nil {
		return fmt.Sprintf("%d bytes at %d", h.backingFileSize, h.backingFileOffset)
	}
	return badimage.Quote(name)
}

// checkTables refuses tables that are too large, unaligned, outside the file,
// or over one another.
func (h header) checkTables(fileSize int64) error {
	g := newGeometry(h, fileSize)
	if need := g.l1Needed(); int64(h.l1Size) < need {
		return corrupt("l1_size", 36, badimage.Int(h.l1Size), badimage.Int(need)+" at least for the size")
	}
	if int64(h.l1Size)*8 > maxL1Bytes {
		return corrupt("l1_size", 36, badimage.Int(h.l1Size), "at most "+badimage.Int(maxL1Bytes/8))
	}
	if h.refcountTableClusters == 0 || int64(h.refcountTableClusters)<<h.clusterBits > maxRefTableBytes {
		return corrupt("refcount_table_clusters", 56, badimage.Int(h.refcountTableClusters), "1 cluster to 8 MiB")
	}
	if h.nbSnapshots > maxSnapshots {
		return corrupt("nb_snapshots", 60, badimage.Int(h.nbSnapshots), "at most 65536")
	}
	for _, t := range []struct {
		field       string
		fieldOffset int64
		offset      uint64
		length      int64
	}{
		{"l1_table_offset", 40, h.l1TableOffset, int64(h.l1Size) * 8},
		{"refcount_table_offset", 48, h.refcountTableOffset, int64(h.refcountTableClusters) << h.clusterBits},
		{"snapshots_offset", 64, h.snapshotsOffset, int64(h.nbSnapshots) * snapshotEntryLen},
	} {
		if err := g.checkPlace(t.field, t.fieldOffset, t.offset, t.length); err != nil {
			return err
		}
	}
	return nil
}

// corrupt and unsupported make this format's refusals.
func corrupt(field string, offset int64, value, want string) *badimage.Error {
	return badimage.Corrupt(format, field, offset, value, want)
}

func unsupported(field string, offset int64, value, want string) *badimage.Error {
	return badimage.Unsupported(format, field, offset, value, want)
}
