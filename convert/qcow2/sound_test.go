package qcow2_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// TestUnusualAreSound takes what the specification allows and looks strange.
func TestUnusualAreSound(t *testing.T) {
	tests := []struct {
		name    string
		unusual func(f forged) forged
		opts    qcow2.Options
	}{
		{"compatible and autoclear bits unknown", both(patch64(80, 1<<40), patch64(88, 1<<40)), qcow2.Options{}},
		{"extension unknown, twice", both(withExtension(0x12345678, "x"), withExtension(0x12345678, "y")), qcow2.Options{}},
		{"backing format without a backing file", withExtension(0xe2792aca, "raw"), qcow2.Options{}},
		{"bitmaps without their bit", withExtension(0x23852875, strings.Repeat("\xff", 24)), qcow2.Options{}},
		{"dirty, with stale refcounts", both(patch64(72, 1), func(f forged) forged {
			clear(f[forgedRefBlock:][:forgedCluster])
			return f
		}), qcow2.Options{}},
		{"L1 larger than the size needs", patch32(36, 100), qcow2.Options{}},
		{"a last cluster that is cut behind its stream", func(f forged) forged {
			return f[:forgedPacked+len(deflated(clusterOf('p', forgedCluster)))]
		}, qcow2.Options{}},
		{"data beyond the virtual size", func(f forged) forged {
			f = f.grow(1)
			f.setL2(100, 9*forgedCluster|copied)
			return f
		}, qcow2.Options{}},
		{"a header of more fields", both(patch32(100, 1024), func(f forged) forged { f[200] = 1; return f }), qcow2.Options{}},
		{"a cluster without bit 63", patchL2(0, forgedData), qcow2.Options{}},
	}
	want, err := readAll(t, bytes.NewReader(forge()), forgedClusters*forgedCluster, qcow2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.unusual(forge())
			got, err := readAll(t, bytes.NewReader(f), int64(len(f)), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Error("wrong guest bytes")
			}
		})
	}
}

// TestDirtyIsChecked shows that stale refcounts do not excuse overlaps.
func TestDirtyIsChecked(t *testing.T) {
	f := forge()
	f.set64(72, 1)
	f.setL2(1, forgedData)
	if _, err := readAll(t, bytes.NewReader(f), int64(len(f)), qcow2.Options{}); !errors.Is(err, badimage.ErrCorrupt) {
		t.Errorf("two guest clusters on one: %v", err)
	}
}

func TestUnknownFeatureIsNamed(t *testing.T) {
	f := forge()
	f.set64(72, 1<<6)
	f.extension(0x6803f857, append([]byte{0, 6}, "shiny"+strings.Repeat("\x00", 41)...))
	_, err := qcow2.Open(bytes.NewReader(f), int64(len(f)), qcow2.Options{})
	if err == nil || !strings.Contains(err.Error(), `bit 6 "shiny"`) {
		t.Errorf("error does not name the feature: %v", err)
	}
}

func TestOptionsLimit(t *testing.T) {
	shared := func() forged {
		f := forge()
		f.setL2(1, forgedData)
		f.setL2(0, forgedData)
		f.setL2(5, f.get64(forgedL2+3*8))
		f.setRefcount(5, 2)
		return f
	}
	tests := []struct {
		name string
		f    forged
		opts qcow2.Options
		want error
	}{
		{"size at the limit", forge(), qcow2.Options{MaxSize: forgedSize}, nil},
		{"size over the limit", forge(), qcow2.Options{MaxSize: forgedSize - 512}, unsupported},
		{"sharing", shared(), qcow2.Options{}, corrupt},
		{"sharing as much as allowed", shared(), qcow2.Options{MaxAmplification: 5.0 / 3}, nil},
		{"sharing more than allowed", shared(), qcow2.Options{MaxAmplification: 1.5}, corrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readAll(t, bytes.NewReader(tt.f), int64(len(tt.f)), tt.opts)
			if !errors.Is(err, tt.want) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
}

// TestRatioLimit has an image of 64 MiB in compressed clusters of one byte
// repeated, which makes it some 300 times larger than its file.
func TestRatioLimit(t *testing.T) {
	path := t.TempDir() + "/image"
	writeImage(t, path, clusterOf('x', 64<<20), qcow2.WriterOptions{Compression: qcow2.Zlib})
	if err := openFile(t, path, qcow2.Options{MaxRatio: 100}).Check(t.Context(), nil); !errors.Is(err, badimage.ErrUnsupported) {
		t.Errorf("over the ratio: %v", err)
	}
	if err := openFile(t, path, qcow2.Options{}).Check(t.Context(), nil); err != nil {
		t.Errorf("by default: %v", err)
	}
}

func TestReadAtEnds(t *testing.T) {
	f := forge()
	im, err := qcow2.Open(bytes.NewReader(f), int64(len(f)), qcow2.Options{Arena: blockio.NewArena(1 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, forgedSize)
	if n, err := im.ReadAt(whole, 0); n != len(whole) || err != nil {
		t.Fatalf("ReadAt of all = %d, %v", n, err)
	}
	for _, tt := range []struct {
		off, length int64
		n           int
		err         error
	}{
		{0, 1, 1, nil},
		{forgedCluster - 1, 2, 2, nil},
		{3*forgedCluster + 17, 1000, 1000, nil},
		{3*forgedCluster - 5, forgedCluster + 10, forgedCluster + 10, nil},
		{forgedSize - 10, 10, 10, nil},
		{forgedSize - 10, 11, 10, io.EOF},
		{forgedSize, 1, 0, io.EOF},
	} {
		p := make([]byte, tt.length)
		n, err := im.ReadAt(p, tt.off)
		if n != tt.n || !errors.Is(err, tt.err) {
			t.Errorf("ReadAt(%d bytes, %d) = %d, %v, want %d, %v", tt.length, tt.off, n, err, tt.n, tt.err)
			continue
		}
		if !bytes.Equal(p[:n], whole[tt.off:tt.off+int64(n)]) {
			t.Errorf("ReadAt(%d bytes, %d): wrong bytes", tt.length, tt.off)
		}
	}
	if _, err := im.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("ReadAt(-1) is no error")
	}
}
