package lazy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/pool/lazy"
)

// model is a disk that does what a disk should.
type model struct{ data []byte }

func newModel(f *fixture) *model {
	m := &model{data: make([]byte, f.Size())}
	copy(m.data, f.base.data)
	return m
}

// step does one random thing to the disk, and to the model.
func (m *model) step(f *fixture, rng *rand.Rand) (off, n int64, err error) {
	size := int64(len(m.data))
	off = rng.Int64N(size)
	n = 1 + rng.Int64N(min(size-off, page<<rng.IntN(10)))
	if rng.IntN(2) == 0 {
		off = off / page * page
		n = min((n+page-1)/page*page, size-off)
	}
	switch rng.IntN(4) {
	case 0:
		err = f.PunchHole(off, n)
		clear(m.data[off : off+n])
	default:
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
		_, err = f.WriteAt(p, off)
		copy(m.data[off:], p)
	}
	return off, n, err
}

func TestReadsWhatWasWritten(t *testing.T) {
	const size = 3<<20 + 1234
	for _, baseSize := range []int64{size, 1<<20 + 77, 0} {
		f := newFixture(t, size, baseSize)
		m := newModel(f)
		rng := rand.New(rand.NewPCG(1, uint64(baseSize)))
		for i := range 300 {
			if off, n, err := m.step(f, rng); err != nil {
				t.Fatalf("change %d at %d: %v", n, off, err)
			}
			off := rng.Int64N(size)
			p := make([]byte, min(size-off, 1+rng.Int64N(200<<10)))
			if _, err := f.ReadAt(p, off); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p, m.data[off:off+int64(len(p))]) {
				t.Fatalf("step %d: wrong bytes at %d", i, off)
			}
			if i%40 == 0 {
				if err := f.Sync(); err != nil {
					t.Fatal(err)
				}
				f.open(t)
			}
		}
		if got := f.contents(t); !bytes.Equal(got, m.data) {
			t.Error("wrong bytes at the end")
		}
		checkMap(t, f, m.data)
		if err := f.Hydrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !f.Whole() || !bytes.Equal(f.data.synced, m.data) {
			t.Error("the data file is not the whole disk after hydration")
		}
		checkMap(t, f, m.data)
	}
}

// checkMap checks that what the disk says is a hole is zeros, without gaps.
func checkMap(t *testing.T, f *fixture, want []byte) {
	t.Helper()
	at := int64(0)
	for e, err := range f.Extents(t.Context(), 0, f.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Offset != at || e.Length <= 0 {
			t.Fatalf("an extent of %d at %d, after %d", e.Length, e.Offset, at)
		}
		if at = e.End(); e.State != blockio.Data && !blockio.IsZero(want[e.Offset:at]) {
			t.Fatalf("the extent at %d is said to be zero", e.Offset)
		}
	}
	if at != f.Size() {
		t.Errorf("the map ends at %d", at)
	}
}

// TestSpares shows that nothing is read from the base that is not needed.
func TestSpares(t *testing.T) {
	f := newFixture(t, 4<<20, 4<<20)
	for _, err := range []error{
		f.PunchHole(0, 1<<20),
		second(f.WriteAt(make([]byte, 64<<10), 1<<20)),
		f.PunchHole(3<<20, 1<<20),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if s := f.Stats(); s.BaseRead != 0 || s.Own != 2<<20+64<<10 {
		t.Errorf("whole blocks changed: %+v", s)
	}
	if _, err := f.WriteAt([]byte{1}, 2<<20+5); err != nil {
		t.Fatal(err)
	}
	if s := f.Stats(); s.BaseRead != page {
		t.Errorf("a part of a block changed: %+v", s)
	}
}

func second[T any](_ T, err error) error { return err }

// TestHydrationBesideWrites has guests write while hydration runs.
func TestHydrationBesideWrites(t *testing.T) {
	const size = 8 << 20
	f := newFixture(t, size, size)
	want := bytes.Clone(f.base.data)
	var writers sync.WaitGroup
	for w := range int64(4) {
		rng := rand.New(rand.NewPCG(uint64(w), 3))
		writers.Go(func() {
			for range 400 { // every writer has bytes of its own in every page
				off := rng.Int64N(size/page)*page + w*1024
				p := bytes.Repeat([]byte{byte(rng.Uint32())}, 1024)
				if _, err := f.WriteAt(p, off); err != nil {
					t.Error(err)
				}
				copy(want[off:], p)
			}
		})
	}
	if err := f.Hydrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	writers.Wait()
	if !bytes.Equal(f.contents(t), want) || !bytes.Equal(f.data.data, want) {
		t.Error("wrong bytes")
	}
}

func TestHydrationIsStopped(t *testing.T) {
	f := newFixture(t, 8<<20, 8<<20)
	ctx, cancel := context.WithCancel(t.Context())
	paced := 0
	d, err := lazy.Open(lazy.Files{Data: f.data, Map: f.table}, f.base, identity, lazy.Options{
		Pace: func(ctx context.Context, n int) error {
			if paced += n; paced > 3<<20 {
				cancel()
			}
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Hydrate(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	f.open(t)
	if s := f.Stats(); s.Own != 3<<20 {
		t.Errorf("%+v", s)
	}
	if err := f.Hydrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := f.Stats(); !f.Whole() || s.Hydrated > 5<<20 {
		t.Errorf("%+v", s)
	}
}

func TestErrors(t *testing.T) {
	f := newFixture(t, 1<<20, 1<<20)
	for _, err := range []error{
		second(f.WriteAt(make([]byte, 2), 1<<20-1)), second(f.WriteAt(nil, -1)), second(f.ReadAt(make([]byte, 1), -1)),
		f.PunchHole(1, 1<<20), f.ZeroRange(-1, 1),
	} {
		if !errors.Is(err, lazy.ErrRange) {
			t.Errorf("beyond the disk: %v", err)
		}
	}
	if n, err := f.ReadAt(make([]byte, 10), 1<<20-3); n != 3 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	files := lazy.Files{Data: f.data, Map: f.table}
	if _, err := lazy.Open(files, f.base, lazy.Identity{9}, lazy.Options{}); !errors.Is(err, lazy.ErrBase) {
		t.Errorf("another base: %v", err)
	}
	if _, err := lazy.Open(files, newBase(page, 1), identity, lazy.Options{}); !errors.Is(err, lazy.ErrBase) {
		t.Errorf("a base of another size: %v", err)
	}
	if err := lazy.Format(f.table, 1<<20, identity, 1<<20+1); !errors.Is(err, lazy.ErrCorrupt) {
		t.Errorf("a base larger than the disk: %v", err)
	}
	// A failed sync is for ever, even if the next would pass.
	f.WriteAt([]byte{1}, 0)
	f.power.fail = f.power.calls + 1
	if err := f.Sync(); !errors.Is(err, errInjected) {
		t.Errorf("a failed sync: %v", err)
	}
	f.power.fail = 0
	if err := f.Sync(); !errors.Is(err, lazy.ErrPoisoned) {
		t.Errorf("after it: %v", err)
	}
}
