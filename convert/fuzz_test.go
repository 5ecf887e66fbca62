package convert_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
)

// fuzzMax bounds the virtual size of what is carried through.
const fuzzMax = 16 << 20

// FuzzCopy takes any bytes as an image: they are refused, or give the same
// guest bytes twice, by way of a new image of another format.
func FuzzCopy(f *testing.F) {
	for _, opts := range []convert.CreateOptions{
		{Format: convert.QCOW2},
		{Format: convert.QCOW2, Compression: convert.Zstd, ClusterSize: 4 << 10},
		{Format: convert.VMDK},
		{Format: convert.Raw},
	} {
		img := newImage(1<<20, map[int64]byte{0: 1, 512 << 10: 2})
		f.Add(create(f, img, opts), false)
	}
	f.Add([]byte("# Disk DescriptorFile\nversion=1\n"), false)
	f.Add([]byte("#\nversion=1\n"), false)
	f.Add(make([]byte, 4096), true)
	f.Fuzz(func(t *testing.T, data []byte, raw bool) {
		var format convert.Format
		if raw {
			format = convert.Raw
		}
		img, _, err := convert.Open(bytes.NewReader(data), int64(len(data)), format, convert.OpenOptions{MaxSize: fuzzMax})
		if err != nil || img.Size() > fuzzMax {
			return
		}
		w := &memWriter{data: make([]byte, img.Size())}
		if err := convert.Copy(t.Context(), w, img, convert.Options{Workers: 2}); err != nil {
			return
		}
		if img.Size()%512 != 0 {
			t.Fatalf("size %d", img.Size())
		}
		again := create(t, img, convert.CreateOptions{Format: convert.QCOW2})
		second, _, err := convert.Open(bytes.NewReader(again), int64(len(again)), convert.QCOW2, convert.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		at, err := convert.Compare(t.Context(), img, second, convert.Options{Workers: 2})
		if err != nil || at != convert.Equal {
			t.Fatalf("the copy differs at %d, %v", at, err)
		}
	})
}

// create writes img as a new image and returns its file.
func create(tb testing.TB, img convert.Image, opts convert.CreateOptions) []byte {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "image")
	dev, err := blockio.OpenDevice(path, blockio.DeviceOptions{Direct: blockio.DirectOff, Write: true, Create: true})
	if err != nil {
		tb.Fatal(err)
	}
	defer dev.Close()
	w, err := convert.Create(dev, img.Size(), opts)
	if err == nil {
		err = convert.Copy(tb.Context(), w, img, convert.Options{Workers: 2})
	}
	if err != nil {
		tb.Fatal(err)
	}
	p, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}
