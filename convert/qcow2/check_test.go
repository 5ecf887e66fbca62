package qcow2_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// sparse is a file of any length with few bytes.
type sparse struct {
	size   int64
	pieces map[int64][]byte // by offset
}

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for at, piece := range s.pieces {
		if from, to := max(at, off), min(at+int64(len(piece)), off+int64(len(p))); from < to {
			copy(p[from-off:to-off], piece[from-at:])
		}
	}
	if off+int64(len(p)) > s.size {
		return int(max(0, s.size-off)), io.EOF
	}
	return len(p), nil
}

// scattered is an image, marked dirty, with n entries in its L2 tables.
func scattered(clusterBits uint32, fileSize int64, n int, entry func(i int) uint64) sparse {
	cluster := int64(1) << clusterBits
	perTable := int(cluster / 8)
	tables := (n + perTable - 1) / perTable
	l1Clusters := (int64(tables)*8 + cluster - 1) / cluster
	header, l1, l2 := make(forged, 512), make(forged, tables*8), make(forged, int64(tables)*cluster)
	l1At, l2At := 2*cluster, (2+l1Clusters)*cluster
	header.set32(0, 0x514649fb)
	header.set32(4, 3)
	header.set32(20, clusterBits)
	header.set64(24, uint64(int64(n)*cluster))
	header.set32(36, uint32(tables))
	header.set64(40, uint64(l1At))
	header.set64(48, uint64(cluster))
	header.set32(56, 1)
	header.set64(72, 1)
	header.set32(96, 4)
	header.set32(100, 112)
	for i := range tables {
		l1.set64(i*8, uint64(l2At+int64(i)*cluster))
	}
	for i := range n {
		l2.set64(i*8, entry(i))
	}
	return sparse{fileSize, map[int64][]byte{0: header, l1At: l1, l2At: l2}}
}

// TestCheckInPasses checks files that are too large for one pass: clusters so
// far apart that each has its own page of claims, and very many streams.
func TestCheckInPasses(t *testing.T) {
	const far = 8 << 20
	apart := func(i int) uint64 { return uint64(i+1) * far }
	packed := func(i int) uint64 { return compressed | 1<<(62-13) | uint64(64<<20+i*1024) }
	for _, tt := range []struct {
		name        string
		clusterBits uint32
		n           int
		fileSize    int64
		entry       func(i int) uint64
		want        error
	}{
		{"apart", 9, 5000, 5001 * far, apart, nil},
		{"apart, the first twice", 9, 5000, 5001 * far, func(i int) uint64 { return apart(i % 4999) }, corrupt},
		{"apart, the last twice", 9, 5000, 5001 * far, func(i int) uint64 { return apart(min(i, 4998)) }, corrupt},
		{"too far apart", 9, 80000, 80001 * far, apart, unsupported},
		{"streams", 21, 1500000, 2 << 30, packed, nil},
		{"streams, the last twice", 21, 1500000, 2 << 30, func(i int) uint64 { return packed(min(i, 1499998)) }, corrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := scattered(tt.clusterBits, tt.fileSize, tt.n, tt.entry)
			im, err := qcow2.Open(src, src.size, qcow2.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := im.Check(t.Context(), nil); !errors.Is(err, tt.want) {
				t.Errorf("Check: %v, want %v", err, tt.want)
			}
		})
	}
}

// brokenReader fails from an offset on.
type brokenReader struct {
	io.ReaderAt
	from int64
}

func (b brokenReader) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.from {
		return 0, errBroken
	}
	return b.ReaderAt.ReadAt(p, off)
}

// TestSourceFails shows that an unreadable source is not a bad image.
func TestSourceFails(t *testing.T) {
	f := forge()
	for from := int64(0); from < forgedPacked; from += forgedCluster {
		_, err := readAll(t, brokenReader{bytes.NewReader(f), from}, int64(len(f)), qcow2.Options{})
		if !errors.Is(err, errBroken) || badimage.Is(err) {
			t.Errorf("source broken at %d: %v", from, err)
		}
	}
	_, err := readAll(t, bytes.NewReader(f[:forgedData]), int64(len(f)), qcow2.Options{})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("source shorter than it was: %v", err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := forge()
	im, err := qcow2.Open(bytes.NewReader(f), int64(len(f)), qcow2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := im.Check(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Check: %v", err)
	}
	for _, err := range im.Extents(ctx, 0, im.Size()) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Extents: %v", err)
		}
	}
	w, err := qcow2.Create(&discard{}, 512, qcow2.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Finish: %v", err)
	}
}
