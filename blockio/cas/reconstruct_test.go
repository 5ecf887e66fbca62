package cas_test

import (
	"context"
	"errors"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
)

// redundant is a rotten volume that can rebuild what is wrong, and counts that.
type redundant struct {
	rotten
	rebuilt int
}

func (r *redundant) Open(ctx context.Context, name string) (blockio.Object, error) {
	o, err := r.rotten.Open(ctx, name)
	if rot, ok := o.(rottenObject); ok {
		return redundantObject{rot, r}, nil
	}
	return o, err
}

type redundantObject struct {
	rottenObject
	volume *redundant
}

func (o redundantObject) ReconstructAt(p []byte, off int64) (int, error) {
	o.volume.rebuilt++
	return o.Object.ReadAt(p, off)
}

// TestReconstruct turns over bytes of every golden object, one at a time: all of
// the store is read nevertheless, from its opening on.
func TestReconstruct(t *testing.T) {
	t.Parallel()
	for name, p := range goldenObjects(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := goldenVolume(t.Context(), goldenObjects(t))
			if err != nil {
				t.Fatal(err)
			}
			r := &redundant{rotten: rotten{Volume: v, name: name}}
			for off := range len(p) {
				if inside := off >= 160 && off < len(p)-160; inside && off%61 != 0 || off%3 != 0 {
					continue
				}
				r.off.Store(int64(off))
				s, err := cas.Open(t.Context(), testOptions(r, ""))
				if err == nil {
					err = errors.Join(goldenReads(t.Context(), s), s.Close())
				}
				if err != nil {
					t.Errorf("byte %d: %v", off, err)
				}
			}
			if r.rebuilt < len(p)/200 {
				t.Errorf("%d reads were rebuilt", r.rebuilt)
			}
		})
	}
}
