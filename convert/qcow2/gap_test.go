package qcow2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// gapped is a file with one hole, [from, to), which it refuses to read, or with
// a map that is an error.
type gapped struct {
	io.ReaderAt
	size, from, to int64
	err            error
}

func (g gapped) ReadAt(p []byte, off int64) (int, error) {
	if g.err == nil && off < g.to && off+int64(len(p)) > g.from {
		return 0, fmt.Errorf("%d bytes at %d are in the hole", len(p), off)
	}
	return g.ReaderAt.ReadAt(p, off)
}

func (g gapped) Extents(_ context.Context, off, length int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		if g.err != nil {
			yield(blockio.Extent{}, g.err)
			return
		}
		for _, e := range []blockio.Extent{
			{Offset: 0, Length: g.from, State: blockio.Data},
			{Offset: g.from, Length: g.to - g.from, State: blockio.Hole},
			{Offset: g.to, Length: g.size - g.to, State: blockio.Data},
		} {
			lo, hi := max(e.Offset, off), min(e.End(), off+length)
			if lo < hi && !yield(blockio.Extent{Offset: lo, Length: hi - lo, Host: lo, State: e.State}, nil) {
				return
			}
		}
	}
}

// TestGap checks and maps an image whose second L2 table is a hole of the file.
// It is not read, and the map is the one that reading gives.
func TestGap(t *testing.T) {
	const reach = forgedCluster / 8 * forgedCluster // guest bytes of one table
	f := forge().grow(1)
	table := int64(len(f) - forgedCluster)
	f.set64(24, 2*reach)
	f.set32(36, 2)
	f.set64(forgedL1+8, copied|uint64(table))
	f = f.grow(1) // what follows the hole is data again
	size := int64(len(f))

	var want []blockio.Extent
	for _, tt := range []struct {
		name string
		src  io.ReaderAt
	}{
		{"no map", bytes.NewReader(f)},
		{"hole", gapped{bytes.NewReader(f), size, table, table + forgedCluster, nil}},
		{"broken map", gapped{bytes.NewReader(f), size, table, table + forgedCluster, errors.New("none")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			im, err := qcow2.Open(tt.src, size, qcow2.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := im.Check(t.Context(), nil); err != nil {
				t.Error(err)
			}
			var got []blockio.Extent
			for e, err := range im.Extents(t.Context(), 0, im.Size()) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if want == nil {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("extents (-want +got):\n%s", diff)
			}
			if last := got[len(got)-1]; last.State != blockio.Hole || last.End() != 2*reach {
				t.Errorf("the last extent is %+v", last)
			}
		})
	}
}
