package vmdk_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/convert/vmdk"
)

// FuzzOpen reads any bytes as an image: it must refuse them or read them, the
// same whole as in pieces, within bounds.
func FuzzOpen(f *testing.F) {
	guest := sample(40<<10 + 512)
	for _, s := range []stream{
		{guest: guest, early: true, grain: 8},
		{guest: guest, front: true, short: true, pad: 512, grain: 16},
		{guest: guest, header: true, progress: true, grain: 8},
		{guest: guest, front: true, plain: true, version: 2, flags: 4, grain: 8},
	} {
		file, _ := s.build(f)
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		const most = 4 << 20
		img, err := vmdk.Open(bytes.NewReader(file), int64(len(file)), vmdk.Options{MaxSize: most})
		if err != nil {
			return
		}
		if img.Size() <= 0 || img.Size() > most {
			t.Fatalf("Size() = %d", img.Size())
		}
		checked := img.Check(t.Context(), nil)
		whole, err := readAll(img, img.Size())
		read := make(chan struct{})
		close(read)
		if after := img.Check(t.Context(), read); (after == nil) != (checked == nil) {
			t.Fatalf("Check = %v after the reading, %v before it", after, checked)
		}
		if err != nil {
			return
		}
		if checked == nil {
			checkExtents(t, img, whole)
		}
		for off := int64(0); off < img.Size(); off += 100_000 {
			p := make([]byte, 100_000)
			n, err := img.ReadAt(p, off)
			if err != nil && err != io.EOF {
				t.Fatalf("ReadAt(%d) = %v after a whole read", off, err)
			}
			if !bytes.Equal(p[:n], whole[off:off+int64(n)]) {
				t.Fatalf("ReadAt(%d): other bytes than in a whole read", off)
			}
		}
	})
}

// FuzzDescriptor parses any text as a descriptor with one flat extent.
func FuzzDescriptor(f *testing.F) {
	f.Add(descriptor("monolithicFlat", "RW 8 FLAT \"x\" 0"))
	f.Add(descriptor("twoGbMaxExtentSparse", "RW 8 SPARSE \"x\"\nRW 8 ZERO"))
	f.Add("# Disk DescriptorFile\nversion=1\n")
	f.Fuzz(func(t *testing.T, text string) {
		extents := []vmdk.ExtentSource{extentFile("x", make([]byte, 4096))}
		img, err := vmdk.OpenDescriptor(strings.NewReader(text), int64(len(text)), extents, vmdk.Options{})
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than a line: %q", err)
			}
			return
		}
		if img.Size() <= 0 || img.Size() > 4096 {
			t.Fatalf("Size() = %d of a file of 4096 bytes", img.Size())
		}
		if _, err := readAll(img, img.Size()); err != nil {
			t.Fatal(err)
		}
	})
}
