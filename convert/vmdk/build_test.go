package vmdk_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zlib"

	"github.com/blockmill/blockmill/convert/vmdk"
)

const sector = 512

// stream describes a streamOptimized file to build by hand, as the
// specification has it and as writers differ. The zero value of each field is
// the most common choice.
type stream struct {
	guest   []byte
	version uint32 // 3
	grain   int    // in sectors, 128
	level   int    // of zlib, 6
	// header puts the directory's place into the header too (vmdktool); in a
	// plain image it gives the descriptor a stream's createType.
	header bool
	// front puts the tables before the grains, without markers and footer
	// (qemu-img, open-vmdk); pad is what then follows the last grain.
	front bool
	pad   int
	// early writes each table behind its grains, else all come at the end.
	early bool
	// progress adds a marker of type 4 (vSphere) and an empty table that the
	// directory leaves out.
	progress bool
	// short stores the last grain without padding (qemu-img).
	short bool
	// nominal is what the descriptor has, when not the capacity (VirtualBox).
	nominal int
	plain   bool // no compression, no markers
	flags   uint32
}

// layout tells where things stand in a built file, in bytes.
type layout struct {
	directory, footer int
	tables            []int
	grains            map[int]int // by grain number
}

// lowest is the first grain that is stored.
func (l layout) lowest() int { return slices.Min(slices.Collect(maps.Keys(l.grains))) }

func (l layout) firstGrain() int { return l.grains[l.lowest()] }

func (s stream) build(t testing.TB) ([]byte, layout) {
	t.Helper()
	s.version, s.grain, s.level = or(s.version, 3), or(s.grain, 128), or(s.level, 6)
	capacity := len(s.guest) / sector
	b := builder{stream: s, capacity: capacity, layout: layout{grains: make(map[int]int)}}
	b.numGrains = (capacity + s.grain - 1) / s.grain
	b.numTables = (b.numGrains + 511) / 512
	b.table = make([]byte, b.numTables*2048)
	b.gd = make([]byte, (b.numTables*4+sector-1)/sector*sector)
	b.out = make([]byte, 21*sector)
	if s.front {
		b.frontTables()
	} else {
		b.out = append(b.out, make([]byte, 107*sector)...)
	}
	overhead := len(b.out) / sector
	b.grainsOut(t)
	b.finish(overhead)
	return b.out, b.layout
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

type builder struct {
	stream
	layout
	capacity, numGrains, numTables int
	out, table, gd                 []byte
}

func (b *builder) frontTables() {
	b.directory = len(b.out)
	tables := len(b.out) + len(b.gd)
	for i := range b.numTables {
		b.tables = append(b.tables, tables+i*2048)
		binary.LittleEndian.PutUint32(b.gd[i*4:], uint32(b.tables[i]/sector))
	}
	b.out = append(b.out, make([]byte, len(b.gd)+len(b.table))...)
	unit := b.grain * sector
	if rest := len(b.out) % unit; rest != 0 {
		b.out = append(b.out, make([]byte, unit-rest)...)
	}
}

func (b *builder) grainsOut(t testing.TB) {
	unit := b.grain * sector
	for g := range b.numGrains {
		data := b.guest[g*unit : min((g+1)*unit, len(b.guest))]
		if len(bytes.TrimLeft(data, "\x00")) > 0 {
			if len(data) < unit && !b.short {
				data = append(bytes.Clone(data), make([]byte, unit-len(data))...)
			}
			b.layout.grains[g] = len(b.out)
			binary.LittleEndian.PutUint32(b.table[g*4:], uint32(len(b.out)/sector))
			b.grainOut(t, g, data)
		}
		if b.early && !b.front && (g%512 == 511 || g == b.numGrains-1) {
			b.tableOut(g / 512)
		}
	}
}

func (b *builder) grainOut(t testing.TB, g int, data []byte) {
	if b.plain {
		b.out = append(b.out, data...)
		return
	}
	var z bytes.Buffer
	w, err := zlib.NewWriterLevel(&z, b.level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.out = binary.LittleEndian.AppendUint64(b.out, uint64(g*b.grain))
	b.out = binary.LittleEndian.AppendUint32(b.out, uint32(z.Len()))
	b.out = append(b.out, z.Bytes()...)
	b.align()
}

func (b *builder) align() {
	if rest := len(b.out) % sector; rest != 0 {
		b.out = append(b.out, make([]byte, sector-rest)...)
	}
}

func (b *builder) markerOut(val, kind int) {
	m := make([]byte, sector)
	binary.LittleEndian.PutUint64(m, uint64(val))
	binary.LittleEndian.PutUint32(m[12:], uint32(kind))
	b.out = append(b.out, m...)
}

func (b *builder) tableOut(i int) {
	table := b.table[i*2048 : (i+1)*2048]
	b.markerOut(4, 1)
	if b.progress && len(bytes.TrimLeft(table, "\x00")) == 0 {
		b.out = append(b.out, table...)
		return
	}
	b.tables = append(b.tables, len(b.out))
	binary.LittleEndian.PutUint32(b.gd[i*4:], uint32(len(b.out)/sector))
	b.out = append(b.out, table...)
}

func (b *builder) finish(overhead int) {
	if b.progress {
		b.markerOut(77, 4)
	}
	if b.front {
		copy(b.out[b.directory:], b.gd)
		copy(b.out[b.directory+len(b.gd):], b.table)
		b.out = append(b.out, make([]byte, b.pad)...)
		b.headOut(overhead, uint64(b.directory/sector))
		return
	}
	if !b.early {
		for i := range b.numTables {
			b.tableOut(i)
		}
	}
	b.markerOut(len(b.gd)/sector, 2)
	b.directory = len(b.out)
	b.out = append(b.out, b.gd...)
	b.markerOut(1, 3)
	b.footer = len(b.out)
	b.out = append(b.out, b.headerOf(overhead, uint64(b.directory/sector))...)
	b.markerOut(0, 0)
	at := uint64(1<<64 - 1)
	if b.header {
		at = uint64(b.directory / sector)
	}
	b.headOut(overhead, at)
}

func (b *builder) headOut(overhead int, directory uint64) {
	copy(b.out, b.headerOf(overhead, directory))
	kind := "streamOptimized"
	if b.plain && !b.header {
		kind = "monolithicSparse"
	}
	copy(b.out[sector:], descriptor(kind, fmt.Sprintf("RW %d SPARSE \"x.vmdk\"", or(b.nominal, b.capacity))))
}

func (b *builder) headerOf(overhead int, directory uint64) []byte {
	h := make([]byte, sector)
	le := binary.LittleEndian
	copy(h, "KDMV")
	le.PutUint32(h[4:], b.version)
	le.PutUint32(h[8:], 0x30001|b.flags)
	le.PutUint64(h[12:], uint64(b.capacity))
	le.PutUint64(h[20:], uint64(b.grain))
	le.PutUint64(h[28:], 1)
	le.PutUint64(h[36:], 20)
	le.PutUint32(h[44:], 512)
	le.PutUint64(h[56:], directory)
	le.PutUint64(h[64:], uint64(overhead))
	copy(h[73:], "\n \r\n")
	le.PutUint16(h[77:], 1)
	if b.plain {
		le.PutUint32(h[8:], 1|b.flags)
		le.PutUint16(h[77:], 0)
	}
	return h
}

// descriptor is a descriptor's text with some extent lines.
func descriptor(kind, extents string) string {
	return "# Disk DescriptorFile\nversion=1\nencoding=\"windows-1252\"\nCID=fffffffe\nparentCID=ffffffff\n" +
		"isNativeSnapshot=\"no\"\ncreateType=\"" + kind + "\"\n\n# Extent description\n" + extents +
		"\n\n# The Disk Data Base\n#DDB\n\nddb.adapterType = \"lsilogic\"\nddb.longContentID = \"0123456789abcdef0123456789abcdef\"\n"
}

// sample makes guest bytes of size: compressible and random grains, and holes,
// a large one where there is more than one table.
func sample(size int) []byte {
	p := make([]byte, size)
	rng := rand.New(rand.NewPCG(1, uint64(size)))
	for off := 0; off < size; off += 16 << 10 {
		part := p[off:min(size, off+16<<10)]
		switch rng.IntN(4) {
		case 0:
			for i := range part {
				part[i] = byte(rng.Uint32())
			}
		case 1, 2:
			for i := range part {
				part[i] = byte(i/512) & byte(rng.Uint32())
			}
		}
	}
	if size > 32<<20 {
		clear(p[2<<20 : 31<<20])
	}
	return p
}

// readAll reads a whole image in one call.
func readAll(img io.ReaderAt, size int64) ([]byte, error) {
	p := make([]byte, size)
	n, err := img.ReadAt(p, 0)
	if err == io.EOF && int64(n) == size {
		err = nil
	}
	return p[:n], err
}

// open opens a built file.
func open(t testing.TB, file []byte) (*vmdk.Image, error) {
	t.Helper()
	return vmdk.Open(bytes.NewReader(file), int64(len(file)), vmdk.Options{})
}
