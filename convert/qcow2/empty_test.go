package qcow2_test

import (
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// countingReader counts the bytes that are read.
type countingReader struct {
	io.ReaderAt
	n atomic.Int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ReaderAt.ReadAt(p, off)
}

// TestEmptyImages opens, checks and maps images without data. The work must
// be that of their tables, not of their size.
func TestEmptyImages(t *testing.T) {
	needQEMU(t)
	for _, tt := range []struct {
		size, options string
		want          int64
		l1            int64 // bytes
	}{
		{"0", "cluster_size=64k", 0, 0},
		{"512", "cluster_size=64k", 512, 8},
		{"8T", "cluster_size=64k", 8 << 40, 128 << 10},
		{"8T", "cluster_size=4k", 8 << 40, 32 << 20},
		{"64T", "cluster_size=2M", 64 << 40, 1 << 10},
		{"64T", "cluster_size=64k,extended_l2=on", 64 << 40, 2 << 20},
	} {
		t.Run(tt.size+" "+tt.options, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "image")
			run(t, "qemu-img", "create", "-f", "qcow2", "-o", tt.options, path, tt.size)
			f, size := openRead(t, path)
			src := &countingReader{ReaderAt: f}
			im, err := qcow2.Open(src, size, qcow2.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := im.Check(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			var want []blockio.Extent
			if tt.want > 0 {
				want = []blockio.Extent{{Length: tt.want, Host: blockio.NoHost}}
			}
			var got []blockio.Extent
			for e, err := range im.Extents(t.Context(), 0, im.Size()) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("extents (-want +got):\n%s", diff)
			}
			// The L1 table once for the map, twice for the check, and little else.
			if limit := 3*tt.l1 + 11<<20; src.n.Load() > limit {
				t.Errorf("%d bytes were read, want at most %d", src.n.Load(), limit)
			}
		})
	}
}
