package vmdk_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/vmdk"
)

func openSplit(kind, lines string, extents ...vmdk.ExtentSource) (*vmdk.Image, error) {
	text := descriptor(kind, lines)
	return vmdk.OpenDescriptor(strings.NewReader(text), int64(len(text)), extents, vmdk.Options{})
}

func extentFile(name string, p []byte) vmdk.ExtentSource {
	return vmdk.ExtentSource{Name: name, Source: bytes.NewReader(p), Size: int64(len(p))}
}

// splitExtent builds a sparse extent without a descriptor of its own.
func splitExtent(t *testing.T, guest []byte) []byte {
	file, _ := stream{guest: guest, front: true, plain: true, version: 1}.build(t)
	clear(file[sector : 21*sector])
	return file
}

func TestSplit(t *testing.T) {
	guest := sample(3 << 20)
	a, b := guest[:1<<20+512], guest[1<<20+512:]
	sparseA := splitExtent(t, a[:1<<20])
	tests := []struct {
		name, kind, lines string
		extents           []vmdk.ExtentSource
		want              []byte
	}{
		{
			"flat", "monolithicFlat", "RW 6144 FLAT \"x-flat.vmdk\" 0",
			[]vmdk.ExtentSource{extentFile("x-flat.vmdk", guest)},
			guest,
		},
		{
			"flat in pieces, the older spelling", "2GbMaxExtentFlat", "RW 2049 FLAT \"a\" 0\nRDONLY 4095 FLAT \"b\" 0",
			[]vmdk.ExtentSource{extentFile("b", b), extentFile("a", a)},
			guest,
		},
		{
			"flat behind a start", "monolithicFlat", "RW 4095 FLAT \"x\" 2049",
			[]vmdk.ExtentSource{extentFile("x", guest)},
			b,
		},
		{
			"sparse in pieces", "twoGbMaxExtentSparse", "RW 2048 SPARSE \"s1\"\nRW 4096 SPARSE \"s2\"",
			[]vmdk.ExtentSource{extentFile("s1", sparseA), extentFile("s2", splitExtent(t, guest[1<<20:]))},
			guest,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			img, err := openSplit(tt.kind, tt.lines, tt.extents...)
			if err != nil {
				t.Fatal(err)
			}
			if err := img.Check(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			got, err := readAll(img, img.Size())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, tt.want) {
				t.Fatal("the bytes differ")
			}
			checkPieces(t, img, tt.want)
			checkExtents(t, img, tt.want)
		})
	}
}

func TestSplitHostile(t *testing.T) {
	flat := extentFile("f", make([]byte, 4096))
	whole, _ := stream{guest: sample(1 << 20), front: true, plain: true}.build(t)
	streamed, _ := stream{guest: sample(1 << 20), early: true}.build(t)
	sparse := splitExtent(t, sample(1<<20))
	tests := []struct {
		name, kind, lines string
		extents           []vmdk.ExtentSource
		want              error
	}{
		{"a file that was not handed over", "monolithicFlat", "RW 8 FLAT \"/etc/passwd\" 0", []vmdk.ExtentSource{flat}, badimage.ErrUnsupported},
		{"a path", "monolithicFlat", "RW 8 FLAT \"../f\" 0", []vmdk.ExtentSource{flat}, badimage.ErrUnsupported},
		{"one file twice", "twoGbMaxExtentFlat", "RW 8 FLAT \"f\" 0\nRW 8 FLAT \"f\" 0", []vmdk.ExtentSource{flat}, badimage.ErrUnsupported},
		{"a file too many", "monolithicFlat", "RW 8 FLAT \"f\" 0", []vmdk.ExtentSource{flat, extentFile("g", nil)}, badimage.ErrCorrupt},
		{"flat too short", "monolithicFlat", "RW 9 FLAT \"f\" 0", []vmdk.ExtentSource{flat}, badimage.ErrCorrupt},
		{"flat too long", "monolithicFlat", "RW 7 FLAT \"f\" 0", []vmdk.ExtentSource{flat}, badimage.ErrCorrupt},
		{"flat start overflows", "monolithicFlat", "RW 8 FLAT \"f\" 9223372036854775807", []vmdk.ExtentSource{flat}, badimage.ErrCorrupt},
		{"flat size overflows", "monolithicFlat", "RW 9223372036854775807 FLAT \"f\" 0", []vmdk.ExtentSource{flat}, badimage.ErrUnsupported},
		{"flat without a start", "monolithicFlat", "RW 8 FLAT \"f\"", []vmdk.ExtentSource{flat}, badimage.ErrCorrupt},
		{"two extents in a monolithic image", "monolithicFlat", "RW 8 FLAT \"f\" 0\nRW 8 FLAT \"g\" 0", []vmdk.ExtentSource{flat}, badimage.ErrCorrupt},
		{"device", "fullDevice", "RW 8 FLAT \"/dev/sda\" 0", []vmdk.ExtentSource{flat}, badimage.ErrUnsupported},
		{"VMFS", "vmfs", "RW 8 VMFS \"f\"", []vmdk.ExtentSource{flat}, badimage.ErrUnsupported},
		{"SESparse", "seSparse", "RW 8 SESPARSE \"f\"", []vmdk.ExtentSource{flat}, badimage.ErrUnsupported},
		{"sparse among flat", "twoGbMaxExtentFlat", "RW 2048 SPARSE \"s\"", []vmdk.ExtentSource{extentFile("s", sparse)}, badimage.ErrUnsupported},
		{"flat for sparse", "twoGbMaxExtentSparse", "RW 8 SPARSE \"f\"", []vmdk.ExtentSource{flat}, badimage.ErrCorrupt},
		{"sparse of another size", "twoGbMaxExtentSparse", "RW 4096 SPARSE \"s\"", []vmdk.ExtentSource{extentFile("s", sparse)}, badimage.ErrCorrupt},
		{"an image as an extent", "twoGbMaxExtentSparse", "RW 2048 SPARSE \"s\"", []vmdk.ExtentSource{extentFile("s", whole)}, badimage.ErrUnsupported},
		{"a stream as an extent", "twoGbMaxExtentSparse", "RW 2048 SPARSE \"s\"", []vmdk.ExtentSource{extentFile("s", streamed)}, badimage.ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := openSplit(tt.kind, tt.lines, tt.extents...)
			var refusal *badimage.Error
			if !errors.As(err, &refusal) || !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestShrunkSource reads images whose files end before their size.
func TestShrunkSource(t *testing.T) {
	file, _ := stream{guest: sample(1 << 20), front: true, plain: true}.build(t)
	img, err := vmdk.Open(shrunk{bytes.NewReader(file), 200 << 10}, int64(len(file)), vmdk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(img, img.Size()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want an unexpected end", err)
	}
}

// shrunk is a file that has been cut.
type shrunk struct {
	io.ReaderAt
	size int64
}

func (s shrunk) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), s.size-off)
	m, err := s.ReaderAt.ReadAt(p[:n], off)
	if err == nil && n < int64(len(p)) {
		err = io.EOF
	}
	return m, err
}
