package vmdk_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/vmdk"
)

// inspect does all that a conversion does: open, check, read everything.
func inspect(ctx context.Context, file []byte) error {
	img, err := vmdk.Open(bytes.NewReader(file), int64(len(file)), vmdk.Options{MaxSize: 1 << 30})
	if err != nil {
		return err
	}
	err = img.Check(ctx, nil)
	if windows := img.CheckWindows(ctx, int64(len(file)/sector/5+1)); (windows == nil) != (err == nil) {
		return errors.New(fmt.Sprint("check: ", err, ", in five windows: ", windows))
	}
	if err != nil {
		return err
	}
	_, err = readAll(img, img.Size())
	return err
}

// pipeline does what inspect does as conversions do it: the check runs beside
// the reading and ends after it. Each grain is remembered, or only those of one
// table.
func pipeline(ctx context.Context, file []byte, tables int) error {
	img, err := vmdk.Open(bytes.NewReader(file), int64(len(file)), vmdk.Options{MaxSize: 1 << 30})
	if err != nil {
		return err
	}
	img.SeeTables(tables)
	_, err = convert.Digest(ctx, img, convert.Options{})
	return err
}

func put32(off int, v uint32) func([]byte, layout) []byte {
	return func(p []byte, _ layout) []byte { binary.LittleEndian.PutUint32(p[off:], v); return p }
}

func put64(off int, v uint64) func([]byte, layout) []byte {
	return func(p []byte, _ layout) []byte { binary.LittleEndian.PutUint64(p[off:], v); return p }
}

// patch changes 32 bits at a place of the layout.
func patch(at func(layout) int, v uint32) func([]byte, layout) []byte {
	return func(p []byte, l layout) []byte { binary.LittleEndian.PutUint32(p[at(l):], v); return p }
}

func text(old, replacement string) func([]byte, layout) []byte {
	return func(p []byte, _ layout) []byte {
		head := bytes.Replace(p[sector:21*sector], []byte(old), []byte(replacement), 1)
		copy(p[sector:21*sector], append(head, make([]byte, 20*sector)...))
		return p
	}
}

// hostile is a change that makes an image one to refuse, and what of it the
// refusal must name; any field when empty.
type hostile struct {
	name   string
	base   stream
	change func([]byte, layout) []byte
	kind   error
	field  string
}

// bases are the images that are broken: a stream with a footer, one with its
// tables first, and one of plain grains.
func bases() (streamed, front, plain stream) {
	guest := sample(34 << 20)
	return stream{guest: guest, early: true}, stream{guest: guest, front: true}, stream{guest: guest[:6<<20], front: true, plain: true}
}

func brokenHeaders() []hostile {
	streamed, _, plain := bases()
	return []hostile{
		{"empty file", plain, func([]byte, layout) []byte { return nil }, badimage.ErrCorrupt, "file"},
		{"header only", plain, func(p []byte, _ layout) []byte { return p[:sector] }, badimage.ErrCorrupt, "overHead"},
		{"no magic", plain, put32(0, 0), badimage.ErrCorrupt, "magicNumber"},
		{"COWD", plain, func(p []byte, _ layout) []byte { copy(p, "COWD"); return p }, badimage.ErrUnsupported, "magicNumber"},
		{"SESparse", plain, put64(0, 0xcafebabe), badimage.ErrUnsupported, "magicNumber"},
		{"version 0", plain, put32(4, 0), badimage.ErrUnsupported, "version"},
		{"version 4", plain, put32(4, 4), badimage.ErrUnsupported, "version"},
		{"unknown flag", plain, put32(8, 1|1<<5), badimage.ErrUnsupported, "flags"},
		{"unknown incompatible flag", plain, put32(8, 1|1<<18), badimage.ErrUnsupported, "flags"},
		{"zeroed grains in version 1", stream{guest: sample(1 << 20), front: true, plain: true, version: 1}, put32(8, 1|4), badimage.ErrCorrupt, "flags"},
		{"markers without compression", plain, put32(8, 1|1<<17), badimage.ErrUnsupported, "flags"},
		{"compression without markers", streamed, put32(8, 1|1<<16), badimage.ErrUnsupported, "flags"},
		{"text transfer", plain, put32(73, 0x0a0a200a), badimage.ErrCorrupt, "newline test"},
		{"unclean 2", plain, func(p []byte, _ layout) []byte { p[72] = 2; return p }, badimage.ErrCorrupt, "uncleanShutdown"},
		{"unknown compression", streamed, func(p []byte, _ layout) []byte { p[77] = 2; return p }, badimage.ErrUnsupported, "compressAlgorithm"},
		{"compression without its flag", plain, func(p []byte, _ layout) []byte { p[77] = 1; return p }, badimage.ErrUnsupported, "compressAlgorithm"},
		{"capacity 0", plain, put64(12, 0), badimage.ErrCorrupt, "capacity"},
		{"capacity 2^63", plain, put64(12, 1<<63), badimage.ErrUnsupported, "capacity"},
		{"capacity beyond the limit", plain, put64(12, 2<<21+1), badimage.ErrUnsupported, "capacity"},
		{"capacity other than the descriptor's", plain, put64(12, 6<<11+128), badimage.ErrCorrupt, "extent size"},
		{"grain 0", plain, put64(20, 0), badimage.ErrCorrupt, "grainSize"},
		{"grain 3", plain, put64(20, 3), badimage.ErrCorrupt, "grainSize"},
		{"grain 4", plain, put64(20, 4), badimage.ErrCorrupt, "grainSize"},
		{"grain huge", plain, put64(20, 1<<40), badimage.ErrCorrupt, "grainSize"},
		{"grain 2^63", plain, put64(20, 1<<63), badimage.ErrCorrupt, "grainSize"},
		{"table entries 0", plain, put32(44, 0), badimage.ErrUnsupported, "numGTEsPerGT"},
		{"table entries huge", plain, put32(44, 1<<31), badimage.ErrUnsupported, "numGTEsPerGT"},
		{"overhead beyond the file", plain, put64(64, 1<<40), badimage.ErrCorrupt, "overHead"},
		{"overhead 0", plain, put64(64, 0), badimage.ErrCorrupt, "overHead"},
		{"descriptor beyond the overhead", plain, put64(28, 1<<60), badimage.ErrCorrupt, "descriptorOffset"},
		{"descriptor in the header", plain, put64(28, 0), badimage.ErrCorrupt, "descriptorOffset"},
		{"descriptor huge", plain, put64(36, 1<<40), badimage.ErrUnsupported, "descriptorSize"},
		{"no descriptor", plain, put64(36, 0), badimage.ErrUnsupported, "descriptorSize"},
	}
}

func brokenTables() []hostile {
	_, front, plain := bases()
	return []hostile{
		{"directory past the end", plain, put64(56, 1<<40), badimage.ErrCorrupt, "gdOffset"},
		{"directory overflows", plain, put64(56, 1<<64-2), badimage.ErrCorrupt, "gdOffset"},
		{"directory is the header", plain, put64(56, 0), badimage.ErrCorrupt, "gdOffset"},
		{"directory is the descriptor", plain, put64(56, 1), badimage.ErrCorrupt, "gdOffset"},
		{"directory at the end without markers", plain, put64(56, 1<<64-1), badimage.ErrCorrupt, "gdOffset"},
		{"directory at the end without a footer", front, put64(56, 1<<64-1), badimage.ErrCorrupt, "marker"},
		{"redundant directory past the end", plain, func(p []byte, l layout) []byte {
			return put64(48, 1<<40)(put32(8, 3)(p, l), l)
		}, badimage.ErrCorrupt, "rgdOffset"},
		{"redundant directory is the directory", plain, func(p []byte, l layout) []byte {
			return put64(48, 21)(put32(8, 3)(p, l), l)
		}, badimage.ErrCorrupt, "rgdOffset"},
		{"table past the end", plain, patch(func(l layout) int { return l.directory }, 1<<30), badimage.ErrCorrupt, "grain directory entry 0"},
		{"table is the header", plain, patch(func(l layout) int { return l.directory }, 1), badimage.ErrCorrupt, "grain directory entry 0"},
		{"table is the descriptor", plain, patch(func(l layout) int { return l.directory }, 5), badimage.ErrCorrupt, ""},
		{"table is the directory", front, patch(func(l layout) int { return l.directory + 4 }, 21), badimage.ErrCorrupt, ""},
		{"two entries for one table", front, func(p []byte, l layout) []byte {
			copy(p[l.directory+4:l.directory+8], p[l.directory:])
			return p
		}, badimage.ErrCorrupt, ""},
		{"grain in the header", plain, patch(func(l layout) int { return l.tables[0] }, 2), badimage.ErrCorrupt, "grain 0"},
		{"grain 1 without zeroed grains", plain, patch(func(l layout) int { return l.tables[0] }, 1), badimage.ErrCorrupt, "grain 0"},
		{"grain past the end", plain, patch(func(l layout) int { return l.tables[0] }, 1<<31), badimage.ErrCorrupt, "grain 0"},
		{"grain beyond the capacity", plain, patch(func(l layout) int { return l.tables[0] + 4*100 }, 128), badimage.ErrCorrupt, "grain 100"},
		{"two guest grains on one", plain, func(p []byte, l layout) []byte {
			copy(p[l.tables[0]+4:l.tables[0]+8], p[l.tables[0]:])
			return p
		}, badimage.ErrCorrupt, "grain"},
		{"grains overlap", plain, patch(func(l layout) int { return l.tables[0] + 4*3 }, 200), badimage.ErrCorrupt, "grain"},
		{"plain truncated", plain, func(p []byte, _ layout) []byte { return p[:len(p)-sector] }, badimage.ErrCorrupt, "grain"},
		{"plain with trailing bytes", plain, func(p []byte, _ layout) []byte { return append(p, bytes.Repeat([]byte{1}, sector)...) }, badimage.ErrCorrupt, "end of file"},
		{"plain with a trailing byte", plain, func(p []byte, _ layout) []byte { return append(p, 1) }, badimage.ErrCorrupt, "end of file"},
		{"stream with trailing bytes", front, func(p []byte, _ layout) []byte { return append(p, "KDMV"...) }, badimage.ErrCorrupt, "end of file"},
		{"stream with trailing zeros", front, func(p []byte, _ layout) []byte { return append(p, make([]byte, 1<<20)...) }, badimage.ErrCorrupt, "end of file"},
		{"stream truncated", front, func(p []byte, _ layout) []byte { return p[:len(p)-2*sector] }, badimage.ErrCorrupt, "grain"},
	}
}

func brokenStreams() []hostile {
	streamed, front, _ := bases()
	return []hostile{
		{"footer with trailing bytes", streamed, func(p []byte, _ layout) []byte { return append(p, make([]byte, sector)...) }, badimage.ErrCorrupt, "marker"},
		{"footer truncated", streamed, func(p []byte, _ layout) []byte { return p[:len(p)-sector] }, badimage.ErrCorrupt, "marker"},
		{"footer cut inside a sector", streamed, func(p []byte, _ layout) []byte { return p[:len(p)-1] }, badimage.ErrCorrupt, ""},
		{"footer without magic", streamed, patch(func(l layout) int { return l.footer }, 0), badimage.ErrCorrupt, "magicNumber"},
		{"footer of another version", streamed, patch(func(l layout) int { return l.footer + 4 }, 1), badimage.ErrCorrupt, "footer version"},
		{"footer of another capacity", streamed, patch(func(l layout) int { return l.footer + 12 }, 1), badimage.ErrCorrupt, "footer capacity"},
		{"footer of another grain", streamed, patch(func(l layout) int { return l.footer + 20 }, 64), badimage.ErrCorrupt, "footer grainSize"},
		{"footer of another overhead", streamed, patch(func(l layout) int { return l.footer + 64 }, 129), badimage.ErrCorrupt, "footer overHead"},
		{"footer of another compression", streamed, patch(func(l layout) int { return l.footer + 77 }, 0), badimage.ErrCorrupt, "footer compressAlgorithm"},
		{"footer without a directory", streamed, func(p []byte, l layout) []byte { return put64(l.footer+56, 1<<64-1)(p, l) }, badimage.ErrCorrupt, "footer gdOffset"},
		{"footer's directory elsewhere", streamed, patch(func(l layout) int { return l.footer + 56 }, 130), badimage.ErrCorrupt, ""},
		{"footer marker type", streamed, patch(func(l layout) int { return l.footer - sector + 12 }, 2), badimage.ErrCorrupt, "marker type of footer"},
		{"footer marker size", streamed, patch(func(l layout) int { return l.footer - sector + 8 }, 9), badimage.ErrCorrupt, "marker size of footer"},
		{"footer marker value", streamed, patch(func(l layout) int { return l.footer - sector }, 9), badimage.ErrCorrupt, "marker value of footer"},
		{"end of stream type", streamed, patch(func(l layout) int { return l.footer + sector + 12 }, 3), badimage.ErrCorrupt, "end of stream"},
		{"directory marker type", streamed, patch(func(l layout) int { return l.directory - sector + 12 }, 1), badimage.ErrCorrupt, "grain directory"},
		{"directory marker value", streamed, patch(func(l layout) int { return l.directory - sector }, 2), badimage.ErrCorrupt, "grain directory"},
		{"table marker type", streamed, patch(func(l layout) int { return l.tables[0] - sector + 12 }, 0), badimage.ErrCorrupt, "grain table 0"},
		{"table marker value", streamed, patch(func(l layout) int { return l.tables[1] - sector }, 5), badimage.ErrCorrupt, "grain table 1"},
		{"table marker size", streamed, patch(func(l layout) int { return l.tables[1] - sector + 8 }, 1), badimage.ErrCorrupt, "grain table 1"},
		{"grain marker lba", streamed, patch(func(l layout) int { return l.firstGrain() }, 7), badimage.ErrCorrupt, "marker lba"},
		{"grain marker size 0", streamed, patch(func(l layout) int { return l.firstGrain() + 8 }, 0), badimage.ErrCorrupt, "marker size"},
		{"grain marker size huge", streamed, patch(func(l layout) int { return l.firstGrain() + 8 }, 1<<31), badimage.ErrCorrupt, "marker size"},
		{"grain marker size over its neighbour", front, patch(func(l layout) int { return l.firstGrain() + 8 }, 100000), badimage.ErrCorrupt, ""},
		{"grain marker size short", front, patch(func(l layout) int { return l.firstGrain() + 8 }, 30), badimage.ErrCorrupt, "data of grain"},
		{"grain marker size long", front, func(p []byte, l layout) []byte {
			p[l.firstGrain()+8]++
			return p
		}, badimage.ErrCorrupt, "data of grain"},
		{"grain garbage", front, func(p []byte, l layout) []byte {
			copy(p[l.firstGrain()+12:], bytes.Repeat([]byte{0xff}, 64))
			return p
		}, badimage.ErrCorrupt, "data of grain"},
		{"a grain that no table names", streamed, func(p []byte, l layout) []byte {
			return put32(l.tables[0]+4*l.lowest(), 0)(p, l)
		}, badimage.ErrCorrupt, "stream"},
	}
}

func brokenDescriptors() []hostile {
	_, _, plain := bases()
	return []hostile{
		{"parent by identifier", plain, text("parentCID=ffffffff", "parentCID=12345678"), badimage.ErrUnsupported, "parentCID"},
		{"parent by hint", plain, text("parentCID=ffffffff", "parentCID=ffffffff\nparentFileNameHint=\"/etc/passwd\""), badimage.ErrUnsupported, "parentFileNameHint"},
		{"flat extent", plain, text("SPARSE \"x.vmdk\"", "FLAT \"/etc/passwd\" 0"), badimage.ErrUnsupported, "extent type"},
		{"VMFS extent", plain, text("SPARSE \"x.vmdk\"", "VMFS \"../x\""), badimage.ErrUnsupported, "extent type"},
		{"device extent", plain, text("SPARSE \"x.vmdk\"", "VMFSRAW \"/dev/sda\""), badimage.ErrUnsupported, "extent type"},
		{"zero extent", plain, text("SPARSE \"x.vmdk\"", "ZERO"), badimage.ErrUnsupported, "extent type"},
		{"two extents", plain, text("RW 12288", "RW 12288 SPARSE \"y\"\nRW 12288"), badimage.ErrCorrupt, "embedded descriptor"},
		{"no extent", plain, text("RW 12288 SPARSE", "#"), badimage.ErrCorrupt, "descriptor"},
		{"no access", plain, text("RW 12288", "NOACCESS 12288"), badimage.ErrUnsupported, "extent access"},
		{"extent of size 0", plain, text("RW 12288", "RW 0"), badimage.ErrCorrupt, "extent line"},
		{"extent size negative", plain, text("RW 12288", "RW -1"), badimage.ErrCorrupt, "extent line"},
		{"create type", plain, text("monolithicSparse", "monolithicFlat"), badimage.ErrUnsupported, "createType"},
		{"create type of a device", plain, text("monolithicSparse", "fullDevice"), badimage.ErrUnsupported, "createType"},
		{"descriptor version", plain, text("version=1", "version=9"), badimage.ErrUnsupported, "descriptor version"},
		{"descriptor garbage", plain, text("#DDB", "DDB"), badimage.ErrCorrupt, "descriptor line"},
		{"key twice", plain, text("version=1", "version=1\nversion=1"), badimage.ErrCorrupt, "descriptor key"},
		{"not a descriptor", plain, text("# Disk", "# Dusk"), badimage.ErrCorrupt, "descriptor"},
		{"encryption", plain, text("version=1", "version=1\nencryptionKeys=\"vmware:key/list/(x)\""), badimage.ErrUnsupported, "descriptor key"},
		{"filters", plain, text("#DDB", "ddb.iofilters = \"vmwarevmcrypt\""), badimage.ErrUnsupported, "descriptor key"},
		{"identifier", plain, text("CID=fffffffe", "CID=zz"), badimage.ErrCorrupt, "CID"},
		{"descriptor file", plain, func([]byte, layout) []byte {
			return []byte(descriptor("monolithicFlat", "RW 8 FLAT \"/etc/passwd\" 0"))
		}, badimage.ErrUnsupported, "descriptor file"},
	}
}

func TestHostile(t *testing.T) {
	tests := slices.Concat(brokenHeaders(), brokenTables(), brokenStreams(), brokenDescriptors())
	type made struct {
		file []byte
		layout
	}
	// Each is built once, and broken in many ways.
	built := make(map[string]made)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := fmt.Sprint(len(tt.base.guest), tt.base.front, tt.base.version)
			base, ok := built[key]
			if !ok {
				base.file, base.layout = tt.base.build(t)
				if err := errors.Join(inspect(t.Context(), base.file), pipeline(t.Context(), base.file, 1), pipeline(t.Context(), base.file, 100)); err != nil {
					t.Fatalf("the image is refused before it is broken: %v", err)
				}
				built[key] = base
			}
			err := inspect(t.Context(), tt.change(bytes.Clone(base.file), base.layout))
			for _, tables := range []int{1, 100} {
				if err := pipeline(t.Context(), tt.change(bytes.Clone(base.file), base.layout), tables); !errors.Is(err, tt.kind) {
					t.Errorf("a conversion that remembers %d tables: got %v, want %v", tables, err, tt.kind)
				}
			}
			var refusal *badimage.Error
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if !errors.Is(err, tt.kind) || !strings.Contains(refusal.Field, tt.field) {
				t.Errorf("got %q, want %v of %q", err, tt.kind, tt.field)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
		})
	}
}
