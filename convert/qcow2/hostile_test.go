package qcow2_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// readAll opens an image, checks it, and reads its extents and bytes, in the
// order in which a conversion trusts them. A nil error means that the image was
// taken as sound.
func readAll(t testing.TB, src io.ReaderAt, size int64, opts qcow2.Options) (guest []byte, err error) {
	im, err := qcow2.Open(src, size, opts)
	if err != nil {
		return nil, err
	}
	if err := im.Check(t.Context(), nil); err != nil {
		return nil, err
	}
	end := int64(0)
	for e, err := range im.Extents(t.Context(), 0, im.Size()) {
		if err != nil {
			return nil, err
		}
		if e.Offset != end || e.Length <= 0 {
			t.Fatalf("extent at %d of %d bytes follows one that ends at %d", e.Offset, e.Length, end)
		}
		end = e.End()
	}
	if end != im.Size() {
		t.Fatalf("extents end at %d of %d", end, im.Size())
	}
	guest = make([]byte, im.Size())
	for off := int64(0); off < im.Size(); off += window {
		p := guest[off:min(off+window, im.Size())]
		if n, err := im.ReadAt(p, off); n < len(p) {
			return nil, err
		}
	}
	return guest, nil
}

func TestForgedAreSound(t *testing.T) {
	for name, f := range map[string]forged{
		"plain": forge(), "extended": forgeExtended(), "zstd": forgeZstd(t),
		"snapshot": forgeSnapshot(), "bitmap": forgeBitmap(),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(t, bytes.NewReader(f), int64(len(f)), qcow2.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := make([]byte, forgedSize)
			if name == "extended" {
				copy(want, clusterOf('a', forgedCluster/32))
			} else {
				for i, b := range []byte("abcp") {
					copy(want[i*forgedCluster:], clusterOf(b, forgedCluster))
				}
			}
			if !bytes.Equal(got, want) {
				t.Error("wrong guest bytes")
			}
		})
	}
}

// hostile are images that must be refused: how to break a sound one, and what
// the error must name.
type hostile struct {
	name   string
	breaks func(f forged) forged
	field  string
	kind   error
}

// patch32 and patch64 set a field of the header or of a table.
func patch32(off int, v uint32) func(forged) forged {
	return func(f forged) forged { f.set32(off, v); return f }
}

func patch64(off int, v uint64) func(forged) forged {
	return func(f forged) forged { f.set64(off, v); return f }
}

func patchL2(i int, v uint64) func(forged) forged {
	return func(f forged) forged { f.setL2(i, v); return f }
}

func cut(n int) func(forged) forged { return func(f forged) forged { return f[:n] } }

func backing(name string) func(forged) forged {
	return func(f forged) forged {
		f.set64(8, 1024)
		f.set32(16, uint32(len(name)))
		copy(f[1024:], name)
		return f
	}
}

func withExtension(kind uint32, data string) func(forged) forged {
	return func(f forged) forged { f.extension(kind, []byte(data)); return f }
}

func both(first, second func(forged) forged) func(forged) forged {
	return func(f forged) forged { return second(first(f)) }
}

var (
	corrupt     = badimage.ErrCorrupt
	unsupported = badimage.ErrUnsupported
)

var hostileHeaders = []hostile{
	{"empty", cut(0), "file size", corrupt},
	{"header cut", cut(71), "file size", corrupt},
	{"header of version 3 cut", cut(103), "file size", corrupt},
	{"magic", patch32(0, 0x514649fa), "magic", corrupt},
	{"version 1", patch32(4, 1), "version", unsupported},
	{"version 4", patch32(4, 4), "version", unsupported},
	{"cluster_bits 8", patch32(20, 8), "cluster_bits", corrupt},
	{"cluster_bits 22", patch32(20, 22), "cluster_bits", corrupt},
	{"cluster_bits 63", patch32(20, 63), "cluster_bits", corrupt},
	{"cluster_bits 2^32-1", patch32(20, math.MaxUint32), "cluster_bits", corrupt},
	{"header_length 0", patch32(100, 0), "header_length", corrupt},
	{"header_length 103", patch32(100, 103), "header_length", corrupt},
	{"header_length 108", patch32(100, 108), "header_length", corrupt},
	{"header_length over a cluster", patch32(100, forgedCluster+8), "header_length", corrupt},
	{"header_length 2^32-8", patch32(100, math.MaxUint32-7), "header_length", corrupt},
	{"AES", patch32(32, 1), "crypt_method", unsupported},
	{"LUKS", patch32(32, 2), "crypt_method", unsupported},
	{"crypt_method 3", patch32(32, 3), "crypt_method", corrupt},
	{"size 2^63", patch64(24, 1<<63), "size", corrupt},
	{"size 2^64-512", patch64(24, math.MaxUint64-511), "size", corrupt},
	{"size over the limit", patch64(24, 64<<40+512), "size", unsupported},
	{"size not of sectors", patch64(24, forgedSize-1), "size", unsupported},
	{"refcount_order 7", patch32(96, 7), "refcount_order", corrupt},
	{"refcount_order 2^32-1", patch32(96, math.MaxUint32), "refcount_order", corrupt},
	{"incompatible bit 5", patch64(72, 1<<5), "incompatible_features", unsupported},
	{"incompatible bit 63", patch64(72, 1<<63), "incompatible_features", unsupported},
	{"corrupt bit", patch64(72, 1<<1), "incompatible_features", corrupt},
	{"data file bit", patch64(72, 1<<2), "external data file", unsupported},
	{"raw data bit", patch64(88, 1<<1), "autoclear_features", corrupt},
	{"bitmaps bit without bitmaps", patch64(88, 1), "autoclear_features", corrupt},
	{"zstd without its bit", func(f forged) forged { f[104] = 1; return f }, "compression_type", corrupt},
	{"compression bit with zlib", patch64(72, 1<<3), "compression_type", corrupt},
	{"compression 2", both(patch64(72, 1<<3), func(f forged) forged { f[104] = 2; return f }), "compression_type", unsupported},
	{"compression bit without the field", both(patch64(72, 1<<3), patch32(100, 104)), "header_length", corrupt},
	{"extended L2 in small clusters", both(patch64(72, 1<<4), patch32(20, 13)), "cluster_bits", corrupt},
	{"absolute backing file", backing("/etc/passwd"), `backing file at offset 8: "/etc/passwd"`, unsupported},
	{"relative backing file", backing("../other"), `backing file at offset 8: "../other"`, unsupported},
	{"itself as backing file", backing("image.qcow2"), "backing file", unsupported},
	{"backing file over NBD", backing("nbd://127.0.0.1/x"), "backing file", unsupported},
	{"backing file in JSON", backing(`json:{"driver":"file"}`), "backing file", unsupported},
	{"backing file with control characters", backing("a\n\x1b[2J"), `"a\n\x1b[2J"`, unsupported},
	{"backing file past the end", patch64(8, 1<<62), "backing file", unsupported},
	{"backing file name of 2^32-1", both(patch64(8, 1024), patch32(16, math.MaxUint32)), "backing file", unsupported},
	{"data file named", withExtension(0x44415441, "/etc/shadow"), `external data file at offset 112: "/etc/shadow"`, unsupported},
	{"encryption header", withExtension(0x0537be77, "0123456789abcdef"), "full disk encryption header", unsupported},
	{"extension over the cluster", both(withExtension(1, "x"), patch32(116, forgedCluster)), "header extension length", corrupt},
	{"extension of 2^32-1", both(withExtension(1, "x"), patch32(116, math.MaxUint32)), "header extension length", corrupt},
	{"end of extensions with a length", patch32(116, forgedCluster), "header extension length", corrupt},
	{"extension twice", both(withExtension(0xe2792aca, "raw"), withExtension(0xe2792aca, "raw")), "header extension type", corrupt},
	{"feature names cut", withExtension(0x6803f857, "short"), "feature name table length", corrupt},
	{"bitmaps extension cut", withExtension(0x23852875, "short"), "bitmaps extension length", corrupt},
}

var hostileTables = []hostile{
	{"L1 past the end", patch64(40, forgedClusters*forgedCluster), "l1_table_offset", corrupt},
	{"L1 far past the end", patch64(40, 1<<63), "l1_table_offset", corrupt},
	{"L1 at 2^64-cluster", patch64(40, math.MaxUint64-forgedCluster+1), "l1_table_offset", corrupt},
	{"L1 unaligned", patch64(40, forgedL1+512), "l1_table_offset", corrupt},
	{"L1 at the header", patch64(40, 0), "l1_table_offset", corrupt},
	{"L1 at the refcount table", patch64(40, forgedRefTable), "refcount_table_offset", corrupt},
	{"L1 huge", patch32(36, math.MaxUint32), "l1_size", corrupt},
	{"L1 over 32 MiB", patch32(36, 4<<20+1), "l1_size", corrupt},
	{"L1 larger than the file", patch32(36, 1<<20), "l1_table_offset", corrupt},
	{"L1 too small", patch32(36, 0), "l1_size", corrupt},
	{"L1 over the L2 table", patch32(36, forgedCluster/8+1), "L1 entry", corrupt},
	{"refcount table past the end", patch64(48, forgedClusters*forgedCluster), "refcount_table_offset", corrupt},
	{"refcount table unaligned", patch64(48, forgedRefTable+8), "refcount_table_offset", corrupt},
	{"refcount table at the header", patch64(48, 0), "refcount_table_offset", corrupt},
	{"refcount table empty", patch32(56, 0), "refcount_table_clusters", corrupt},
	{"refcount table huge", patch32(56, math.MaxUint32), "refcount_table_clusters", corrupt},
	{"refcount table over other tables", patch32(56, 3), "refcount_table_offset", corrupt},
	{"refcount block past the end", patch64(forgedRefTable, forgedClusters*forgedCluster), "refcount table entry 0", corrupt},
	{"refcount block at 2^63", patch64(forgedRefTable, 1<<63), "refcount table entry 0", corrupt},
	{"refcount block unaligned", patch64(forgedRefTable, forgedRefBlock+512), "refcount table entry 0", corrupt},
	{"refcount block reserved bits", patch64(forgedRefTable, forgedRefBlock|1), "refcount table entry 0", corrupt},
	{"refcount block at the L1 table", patch64(forgedRefTable, forgedL1), "refcount table entry 0", corrupt},
	{"refcount block twice", patch64(forgedRefTable+8, forgedRefBlock), "refcount table entry 1", corrupt},
	{"no refcount block", patch64(forgedRefTable, 0), "refcount of the host cluster at 0", corrupt},
	{"refcount 0 of data", func(f forged) forged { f.setRefcount(5, 0); return f }, "refcount of the host cluster at 81920", corrupt},
	{"refcount 0 of the header", func(f forged) forged { f.setRefcount(0, 0); return f }, "refcount of the host cluster at 0", corrupt},
	{"refcount 0 of an L2 table", func(f forged) forged { f.setRefcount(4, 0); return f }, "refcount of the host cluster at 65536", corrupt},
	{"refcount 0 of a stream", func(f forged) forged { f.setRefcount(8, 0); return f }, "refcount of the host cluster at 131072", corrupt},
	{"refcount 2 of a cluster with bit 63", func(f forged) forged { f.setRefcount(6, 2); return f }, "refcount of the host cluster at 98304", corrupt},
	{"L2 at the header", patch64(forgedL1, copied), "L1 entry 0", corrupt},
	{"L2 at the L1 table", patch64(forgedL1, forgedL1|copied), "L1 entry 0", corrupt},
	{"L2 at the refcount table", patch64(forgedL1, forgedRefTable|copied), "L1 entry 0", corrupt},
	{"L2 at a refcount block", patch64(forgedL1, forgedRefBlock|copied), "L1 entry 0", corrupt},
	{"L2 past the end", patch64(forgedL1, forgedClusters*forgedCluster|copied), "L1 entry 0", corrupt},
	{"L2 far past the end", patch64(forgedL1, 1<<55|copied), "L1 entry 0", corrupt},
	{"L2 unaligned", patch64(forgedL1, forgedL2+512|copied), "L1 entry 0", corrupt},
	{"L1 reserved low bit", patch64(forgedL1, forgedL2|copied|1), "L1 entry 0", corrupt},
	{"L1 reserved high bit", patch64(forgedL1, forgedL2|copied|1<<62), "L1 entry 0", corrupt},
	{"L2 twice", both(patch32(36, 2), patch64(forgedL1+8, forgedL2|copied)), "L1 entry 1", corrupt},
	{"data in the L2 table", patch64(forgedL1, forgedData|copied), "L2 entry", corrupt},
}

var hostileClusters = []hostile{
	{"data past the end", patchL2(0, forgedClusters*forgedCluster|copied), "L2 entry 0 of L1 entry 0", corrupt},
	{"data far past the end", patchL2(0, 1<<55|copied), "L2 entry 0 of L1 entry 0", corrupt},
	{"data unaligned", patchL2(0, forgedData+512|copied), "L2 entry 0 of L1 entry 0", corrupt},
	{"data cut", cut(forgedData + 3*forgedCluster - 1), "L2 entry 2 of L1 entry 0", corrupt},
	{"data in the header", patchL2(0, copied), "L2 entry 0 of L1 entry 0", corrupt},
	{"data in the refcount table", patchL2(1, forgedRefTable|copied), "L2 entry 1 of L1 entry 0", corrupt},
	{"data in a refcount block", patchL2(1, forgedRefBlock|copied), "L2 entry 1 of L1 entry 0", corrupt},
	{"data in the L1 table", patchL2(1, forgedL1|copied), "L2 entry 1 of L1 entry 0", corrupt},
	{"data in its L2 table", patchL2(1, forgedL2|copied), "L2 entry 1 of L1 entry 0", corrupt},
	{"data twice", patchL2(2, forgedData|copied), "L2 entry 2 of L1 entry 0", corrupt},
	{"data twice, beyond the size", patchL2(100, forgedData|copied), "L2 entry 100 of L1 entry 0", corrupt},
	{"data among streams", patchL2(2, forgedPacked|copied), "", corrupt},
	{"preallocated zeros twice", patchL2(4, forgedData|copied|1), "L2 entry 4 of L1 entry 0", corrupt},
	{"preallocated zeros past the end", patchL2(4, forgedClusters*forgedCluster|copied|1), "L2 entry 4 of L1 entry 0", corrupt},
	{"reserved bit 1", patchL2(0, forgedData|copied|2), "L2 entry 0 of L1 entry 0", corrupt},
	{"reserved bit 56", patchL2(0, forgedData|copied|1<<56), "L2 entry 0 of L1 entry 0", corrupt},
	{"reserved bit 61", patchL2(0, forgedData|copied|1<<61), "L2 entry 0 of L1 entry 0", corrupt},
	{"zero in version 2", patch32(4, 2), "L2 entry 4 of L1 entry 0", corrupt},
	{"stream garbage", func(f forged) forged { f.pack(clusterOf(0xff, 600)); return f }, "compressed cluster", corrupt},
	{"stream short", func(f forged) forged { f.pack(deflated(clusterOf('p', forgedCluster-1))); return f }, "compressed cluster", corrupt},
	{"stream empty", func(f forged) forged { f.pack(deflated(nil)); return f }, "compressed cluster", corrupt},
	{"stream of one byte too many", func(f forged) forged { f.pack(deflated(clusterOf('p', forgedCluster+1))); return f }, "compressed cluster", corrupt},
	{"bomb", func(f forged) forged { f.pack(deflated(clusterOf('p', 8<<20))); return f }, "compressed cluster", corrupt},
	{"stream past the end", patchL2(3, compressed|forgedClusters*forgedCluster), "L2 entry 3 of L1 entry 0", corrupt},
	{"stream's sectors past the end", patchL2(3, compressed|32<<forgedSectorAt|forgedPacked), "L2 entry 3 of L1 entry 0", corrupt},
	{"stream cut", func(f forged) forged { f.pack(deflated(letters(forgedCluster))); return f[:forgedPacked+1000] }, "L2 entry 3 of L1 entry 0", corrupt},
	{"stream cut in its last sector", cut(forgedPacked + 10), "compressed cluster", corrupt},
	{"stream in the header", patchL2(3, compressed|512), "L2 entry 3 of L1 entry 0", corrupt},
	{"stream in the L2 table", patchL2(3, compressed|forgedL2), "compressed cluster", corrupt},
	{"stream in data", patchL2(3, compressed|forgedData), "", corrupt},
	{"stream with bit 63", patchL2(3, copied|compressed|forgedPacked), "L2 entry 3 of L1 entry 0", corrupt},
	{"stream twice", patchL2(5, compressed|forgedPacked), "compressed cluster", corrupt},
	{"streams over one another", patchL2(5, compressed|1<<forgedSectorAt|(forgedPacked+2)), "compressed cluster", corrupt},
}

var hostileExtended = []hostile{
	{"subcluster stored and zero", patch64(forgedL2+8, 1|1<<32), "L2 entry 0 of L1 entry 0", corrupt},
	{"subclusters stored nowhere", patch64(forgedL2, 0), "L2 entry 0 of L1 entry 0", corrupt},
	{"zero bit", patch64(forgedL2, forgedData|copied|1), "L2 entry 0 of L1 entry 0", corrupt},
	{"stream with subclusters", both(patch64(forgedL2+16, compressed|forgedPacked), patch64(forgedL2+24, 1)), "L2 entry 1 of L1 entry 0", corrupt},
	{"last subcluster cut", both(patch64(forgedL2+8, 1<<31), cut(forgedData+forgedCluster-1)), "L2 entry 0 of L1 entry 0", corrupt},
}

var hostileZstd = []hostile{
	{"garbage", func(f forged) forged { f.pack(clusterOf(0xff, 600)); return f }, "compressed cluster", corrupt},
	{"deflate", func(f forged) forged { f.pack(deflated(clusterOf('p', forgedCluster))); return f }, "compressed cluster", corrupt},
	{"frame cut", func(f forged) forged { f[forgedPacked+8] ^= 0xff; return f }, "compressed cluster", corrupt},
}

var hostileSnapshots = []hostile{
	{"too many", patch32(60, 65537), "nb_snapshots", corrupt},
	{"table past the end", patch64(64, 11*forgedCluster), "snapshots_offset", corrupt},
	{"table at 2^63", patch64(64, 1<<63), "snapshots_offset", corrupt},
	{"table unaligned", patch64(64, 9*forgedCluster+8), "snapshots_offset", corrupt},
	{"table at the header", patch64(64, 0), "snapshots_offset", corrupt},
	{"table at the L1 table", patch64(64, forgedL1), "snapshot table", corrupt},
	{"more entries than the file holds", patch32(60, 60000), "snapshots_offset", corrupt},
	{"more entries than the table holds", patch32(60, 300), "snapshot table entry", corrupt},
	{"L1 past the end", patch64(9*forgedCluster, 11*forgedCluster), "snapshot table entry 0 L1 table offset", corrupt},
	{"L1 unaligned", patch64(9*forgedCluster, 10*forgedCluster+8), "snapshot table entry 0 L1 table offset", corrupt},
	{"L1 huge", patch32(9*forgedCluster+8, math.MaxUint32), "snapshot table entry 0 L1 size", corrupt},
	{"L1 at the active one", patch64(9*forgedCluster, forgedL1), "snapshot table entry 0 L1 table", corrupt},
	{"extra data huge", patch32(9*forgedCluster+36, math.MaxUint32), "snapshot table entry 0 extra data size", corrupt},
	{"extra data missing", patch32(9*forgedCluster+36, 0), "snapshot table entry 0 extra data size", corrupt},
	{"name past the end", both(patch64(64, 10*forgedCluster), patch32(10*forgedCluster+12, 0xffffffff)), "snapshot table entry 0", corrupt},
}

var hostileBitmaps = []hostile{
	{"none", patch32(112+8, 0), "nb_bitmaps", corrupt},
	{"reserved", patch32(112+12, 1), "bitmaps extension reserved field", corrupt},
	{"directory too small", patch64(112+16, 16), "bitmap_directory_size", corrupt},
	{"directory huge", patch64(112+16, 1<<62), "bitmap_directory_size", corrupt},
	{"directory larger than its entries", patch64(112+16, 40), "bitmap_directory_size", corrupt},
	{"directory past the end", patch64(112+24, 12*forgedCluster), "bitmap_directory_offset", corrupt},
	{"directory at the L1 table", patch64(112+24, forgedL1), "bitmap directory", corrupt},
	{"flags", patch32(9*forgedCluster+12, 8), "bitmap directory entry 0 flags", corrupt},
	{"type", func(f forged) forged { f[9*forgedCluster+16] = 2; return f }, "bitmap directory entry 0 type", corrupt},
	{"granularity", func(f forged) forged { f[9*forgedCluster+17] = 64; return f }, "bitmap directory entry 0 granularity_bits", corrupt},
	{"no name", func(f forged) forged { f[9*forgedCluster+19] = 0; return f }, "bitmap directory entry 0 name_size", corrupt},
	{"table huge", patch32(9*forgedCluster+8, math.MaxUint32), "bitmap directory entry 0 bitmap_table_size", corrupt},
	{"table too large", patch32(9*forgedCluster+8, 2), "bitmap directory entry 0 bitmap_table_size", corrupt},
	{"table past the end", patch64(9*forgedCluster, 12*forgedCluster), "bitmap directory entry 0 bitmap_table_offset", corrupt},
	{"data at the L2 table", patch64(10*forgedCluster, forgedL2), "bitmap directory entry 0 table entry 0", corrupt},
	{"data past the end", patch64(10*forgedCluster, 12*forgedCluster), "bitmap directory entry 0 table entry 0", corrupt},
	{"table reserved bits", patch64(10*forgedCluster, 11*forgedCluster|2), "bitmap directory entry 0 table entry 0", corrupt},
}

func TestHostile(t *testing.T) {
	for _, group := range []struct {
		name  string
		make  func() forged
		cases []hostile
	}{
		{"header", forge, hostileHeaders},
		{"tables", forge, hostileTables},
		{"clusters", forge, hostileClusters},
		{"extended", forgeExtended, hostileExtended},
		{"zstd", func() forged { return forgeZstd(t) }, hostileZstd},
		{"snapshots", forgeSnapshot, hostileSnapshots},
		{"bitmaps", forgeBitmap, hostileBitmaps},
	} {
		for _, tt := range group.cases {
			t.Run(group.name+"/"+tt.name, func(t *testing.T) {
				f := tt.breaks(group.make())
				_, err := readAll(t, bytes.NewReader(f), int64(len(f)), qcow2.Options{})
				if err == nil {
					t.Fatal("accepted")
				}
				if !errors.Is(err, tt.kind) {
					t.Errorf("error is not of kind %q: %v", tt.kind, err)
				}
				if msg := err.Error(); !strings.HasPrefix(msg, "qcow2: ") || !strings.Contains(msg, tt.field) || strings.ContainsAny(msg, "\n\x1b") {
					t.Errorf("error does not name %q in one line: %q", tt.field, msg)
				}
			})
		}
	}
}
