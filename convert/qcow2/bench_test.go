package qcow2_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// corpusData is 64 MiB of a real system's data where there is a corpus, else a
// mixture.
func corpusData(b *testing.B) []byte {
	p := mixture(64<<20, 1)
	dir := os.Getenv("BLOCKMILL_CORPUS")
	if dir == "" {
		return p
	}
	f, err := os.Open(filepath.Join(dir, "a.raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	window := make([]byte, qcow2.Window)
	n := 0
	for off := int64(256 << 20); n < len(p); off += qcow2.Window {
		if _, err := f.ReadAt(window, off); err != nil {
			b.Fatal(err)
		}
		for piece := window; len(piece) > 0 && n < len(p); piece = piece[64<<10:] {
			if !blockio.IsZero(piece[:64<<10]) {
				n += copy(p[n:], piece[:64<<10])
			}
		}
	}
	return p
}

var benchWriters = []struct {
	name string
	opts qcow2.WriterOptions
}{
	{"plain-64k", qcow2.WriterOptions{}},
	{"plain-512", qcow2.WriterOptions{ClusterSize: 512}},
	{"zlib-64k", qcow2.WriterOptions{Compression: qcow2.Zlib}},
	{"zlib-4k", qcow2.WriterOptions{Compression: qcow2.Zlib, ClusterSize: 4 << 10}},
	{"zstd-64k", qcow2.WriterOptions{Compression: qcow2.Zstd}},
	{"zstd-2M", qcow2.WriterOptions{Compression: qcow2.Zstd, ClusterSize: 2 << 20}},
}

func BenchmarkReadAt(b *testing.B) {
	guest := corpusData(b)
	for _, bb := range benchWriters {
		b.Run(bb.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "image")
			writeImage(b, path, guest, bb.opts)
			image, err := os.ReadFile(path)
			if err != nil {
				b.Fatal(err)
			}
			im, err := qcow2.Open(bytes.NewReader(image), int64(len(image)), qcow2.Options{})
			if err != nil {
				b.Fatal(err)
			}
			p := make([]byte, qcow2.Window)
			b.SetBytes(qcow2.Window)
			b.ReportAllocs()
			off := int64(0)
			for b.Loop() {
				if _, err := im.ReadAt(p, off); err != nil {
					b.Fatal(err)
				}
				off = (off + qcow2.Window) % im.Size()
			}
		})
	}
}

func BenchmarkWriteAt(b *testing.B) {
	guest := corpusData(b)
	for _, bb := range benchWriters {
		b.Run(bb.name, func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "image"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.SetBytes(qcow2.Window)
			b.ReportAllocs()
			var w *qcow2.Writer
			off := 0
			for b.Loop() {
				if off == 0 {
					if w, err = qcow2.Create(f, int64(len(guest)), bb.opts); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := w.WriteAt(guest[off:off+qcow2.Window], int64(off)); err != nil {
					b.Fatal(err)
				}
				off = (off + qcow2.Window) % len(guest)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, bb := range benchWriters[:3] {
		b.Run(bb.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "image")
			writeImage(b, path, mixture(64<<20, 1), bb.opts)
			im := openFile(b, path, qcow2.Options{})
			b.SetBytes(im.Size())
			for b.Loop() {
				if err := im.Check(b.Context(), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
