package lazy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/blockmill/blockmill/pool/lazy"
)

var update = flag.Bool("update", false, "write the golden file anew")

// golden is a map with blocks in three sectors.
func golden(t *testing.T) *fixture {
	t.Helper()
	const size = 40<<20 + 5
	f := newFixture(t, size, 7)
	for _, off := range []int64{0, 5*page + 1, 17 << 20, size - 1} {
		if _, err := f.WriteAt([]byte{1}, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFormat holds the map against a file that was written once, and decodes
// that by FORMAT.md.
func TestFormat(t *testing.T) {
	got := golden(t).table.synced
	path := filepath.Join("testdata", "map.v1")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("the map has another layout than version 1")
	}
	le := binary.LittleEndian
	sum := func(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }
	h := want[:4096]
	if string(h[:8]) != "BMLAZY\x00\x00" || le.Uint32(h[8:]) != 1 || le.Uint32(h[12:]) != 4096 ||
		le.Uint64(h[16:]) != 40<<20+5 || le.Uint64(h[24:]) != 7 || h[32] != 1 || h[33] != 2 || le.Uint32(h[4092:]) != sum(h[:4092]) {
		t.Errorf("header % x", h[:64])
	}
	if len(want) != 4096+3*512 {
		t.Errorf("%d bytes", len(want))
	}
	blocks := map[int]bool{0: true, 5: true, 17 << 8: true, 40 << 8: true}
	for i := range 3 {
		s := want[4096+512*i:][:512]
		if le.Uint32(s[504:]) != uint32(i) || le.Uint32(s[508:]) != sum(s[:508]) {
			t.Errorf("sector %d: % x", i, s[504:])
		}
		for b := range 4032 {
			if set := s[b/8]>>(b%8)&1 == 1; set != blocks[4032*i+b] {
				t.Errorf("block %d: %v", 4032*i+b, set)
			}
		}
	}
}

func TestDamage(t *testing.T) {
	f := golden(t)
	for _, tt := range []struct {
		name string
		off  int
		want error
	}{
		{"magic number", 0, lazy.ErrCorrupt},
		{"version", 8, lazy.ErrVersion},
		{"size", 16, lazy.ErrCorrupt},
		{"a bit", 4096 + 100, lazy.ErrCorrupt},
		{"the number of a sector", 4096 + 504, lazy.ErrCorrupt},
	} {
		f.table.data[tt.off] ^= 2
		_, err := lazy.Open(lazy.Files{Data: f.data, Map: f.table}, f.base, identity, lazy.Options{})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		f.table.data[tt.off] ^= 2
	}
	f.open(t)
}

// FuzzMap opens anything as a map. What opens is a disk of the size and base
// that its header says, and reads.
func FuzzMap(f *testing.F) {
	p, err := os.ReadFile(filepath.Join("testdata", "map.v1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p, false)
	f.Add(p[:4096+512], true)
	f.Add([]byte("BMLAZY"), true)
	f.Fuzz(func(t *testing.T, p []byte, mend bool) {
		if mend { // so that what is behind a checksum is reached
			for end := 4096; end <= len(p); end += 512 {
				from := max(0, end-512)
				if end == 4096 {
					from = 0
				}
				binary.LittleEndian.PutUint32(p[end-4:], crc32.Checksum(p[from:end-4], crc32.MakeTable(crc32.Castagnoli)))
			}
		}
		m := &file{power: &power{}, data: p, synced: bytes.Clone(p), atoms: map[int64]bool{}}
		data := newFile(m.power, 1<<20)
		d, err := lazy.Open(lazy.Files{Data: data, Map: m}, newBase(7, 1), identity, lazy.Options{})
		if err != nil {
			return
		}
		if s := d.Stats(); s.Own > s.Size || d.Size() != s.Size || s.Size < 7 {
			t.Errorf("%+v", s)
		}
		buf := make([]byte, min(d.Size(), 1<<20))
		if _, err := d.ReadAt(buf, 0); err != nil {
			t.Errorf("read: %v", err)
		}
	})
}
