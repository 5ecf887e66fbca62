package vmdk_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/blockmill/blockmill/convert/vmdk"
	"golang.org/x/sync/errgroup"
)

// corpusVariants are the images of one content that the corpus holds, and the
// extents of those in several files.
var corpusVariants = []struct {
	path    string
	extents []string
}{
	{path: "a-sparse.vmdk"},
	{path: "a-stream.vmdk"},
	{path: "vmdk2g/a.vmdk", extents: []string{"a-s001.vmdk", "a-s002.vmdk"}},
	{path: "vmdkflat/a.vmdk", extents: []string{"a-flat.vmdk"}},
}

// TestCorpus reads real images, when BLOCKMILL_CORPUS names their directory,
// and compares them with the raw image that they were made from.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("BLOCKMILL_CORPUS")
	if dir == "" {
		t.Skip("BLOCKMILL_CORPUS names no directory")
	}
	raw, size := openFile(t, filepath.Join(dir, "a.raw"))
	for _, v := range corpusVariants {
		t.Run(v.path, func(t *testing.T) {
			img := openCorpus(t, filepath.Join(dir, v.path), v.extents)
			if img.Size() != size {
				t.Fatalf("Size() = %d, want %d", img.Size(), size)
			}
			if err := img.Check(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			var g errgroup.Group
			g.SetLimit(2)
			const window = 4 << 20
			for off := int64(0); off < size; off += window {
				g.Go(func() error { return compareAt(t, img, raw, off, min(window, size-off)) })
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// compareAt compares a range of two readers, and reports where they differ.
func compareAt(t *testing.T, got, want io.ReaderAt, off, n int64) error {
	a, b := make([]byte, n), make([]byte, n)
	if _, err := got.ReadAt(a, off); err != nil && err != io.EOF {
		return err
	}
	if _, err := want.ReadAt(b, off); err != nil && err != io.EOF {
		return err
	}
	if !bytes.Equal(a, b) {
		t.Errorf("bytes from %d to %d differ", off, off+n)
	}
	return nil
}

func openCorpus(t *testing.T, path string, extents []string) *vmdk.Image {
	t.Helper()
	f, size := openFile(t, path)
	if extents == nil {
		img, err := vmdk.Open(f, size, vmdk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	var sources []vmdk.ExtentSource
	for _, name := range extents {
		e, size := openFile(t, filepath.Join(filepath.Dir(path), name))
		sources = append(sources, vmdk.ExtentSource{Name: name, Source: e, Size: size})
	}
	img, err := vmdk.OpenDescriptor(f, size, sources, vmdk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func openFile(t *testing.T, path string) (*os.File, int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, info.Size()
}
