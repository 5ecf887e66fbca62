package lazy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/pool/lazy"
)

const page = 4096

// atom is what a crash keeps or loses as a whole: a sector of a disk.
const atom = 512

var errInjected = errors.New("injected")

// power is what two files have in common: they lose power at one time, before
// the call that cuts counts down to.
type power struct {
	mu    sync.Mutex
	calls int
	fail  int // the call that fails, and all after it; 0 is none
}

// file is a file in memory that knows what was synced.
type file struct {
	power  *power
	data   []byte
	synced []byte
	atoms  map[int64]bool // written since the last sync
	skip   bool           // syncs do nothing: to see that tests would notice
}

func newFile(p *power, size int64) *file {
	return &file{power: p, data: make([]byte, size), synced: make([]byte, size), atoms: map[int64]bool{}}
}

// begin counts a call that changes something.
func (f *file) begin() error {
	f.power.calls++
	if f.power.fail > 0 && f.power.calls >= f.power.fail {
		return errInjected
	}
	return nil
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	n := copy(p, f.data[min(off, int64(len(f.data))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	if err := f.begin(); err != nil {
		return 0, err
	}
	for at := off / atom; at*atom < off+int64(len(p)); at++ {
		f.atoms[at] = true
	}
	return copy(f.data[off:], p), nil
}

func (f *file) Sync() error {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	if err := f.begin(); err != nil {
		return err
	}
	if !f.skip {
		copy(f.synced, f.data)
		clear(f.atoms)
	}
	return nil
}

// crashed is the file as it could be found after a crash: each atom that was
// written since the last sync is kept with a chance of keep.
func (f *file) crashed(rng *rand.Rand, keep float64, p *power) *file {
	out := newFile(p, int64(len(f.data)))
	copy(out.data, f.synced)
	for at := range maps.Keys(f.atoms) {
		if rng.Float64() < keep {
			copy(out.data[at*atom:min((at+1)*atom, int64(len(f.data)))], f.data[at*atom:])
		}
	}
	copy(out.synced, out.data)
	return out
}

// base is a base in memory, every third page of which is a hole.
type base struct{ data []byte }

func newBase(size int64, seed uint64) *base {
	b := &base{data: make([]byte, size)}
	rng := rand.New(rand.NewPCG(seed, 1))
	for off := int64(0); off < size; off += page {
		if off/page%3 == 2 {
			continue
		}
		for i := off; i < min(off+page, size); i++ {
			b.data[i] = byte(rng.Uint32()) | 1
		}
	}
	return b
}

func (b *base) Size() int64 { return int64(len(b.data)) }

func (b *base) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(b.data).ReadAt(p, off)
}

func (b *base) Extents(_ context.Context, off, n int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		for end := off + n; off < end; {
			e := blockio.Extent{Offset: off, Length: min((off/page+1)*page, end) - off, State: blockio.Data}
			if off/page%3 == 2 {
				e.State = blockio.Hole
			}
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}

var identity = lazy.Identity{1, 2, 3}

// fixture is a disk in memory.
type fixture struct {
	*lazy.Disk
	base        *base
	power       *power
	data, table *file
	metrics     *lazy.Metrics
}

func newFixture(t *testing.T, size, baseSize int64) *fixture {
	t.Helper()
	f := &fixture{base: newBase(baseSize, 7), power: &power{}}
	f.data, f.table = newFile(f.power, size), newFile(f.power, lazy.MapSize(size))
	if err := lazy.Format(f.table, size, identity, baseSize); err != nil {
		t.Fatal(err)
	}
	if err := f.table.Sync(); err != nil {
		t.Fatal(err)
	}
	f.open(t)
	return f
}

func (f *fixture) open(t *testing.T) {
	t.Helper()
	d, err := lazy.Open(lazy.Files{Data: f.data, Map: f.table}, f.base, identity, lazy.Options{Metrics: f.metrics})
	if err != nil {
		t.Fatal(err)
	}
	f.Disk = d
}

// crash is the fixture after a crash.
func (f *fixture) crash(t *testing.T, rng *rand.Rand, keep float64) *fixture {
	t.Helper()
	c := &fixture{base: f.base, power: &power{}}
	c.data, c.table = f.data.crashed(rng, keep, c.power), f.table.crashed(rng, keep, c.power)
	c.open(t)
	return c
}

// contents reads the whole disk.
func (f *fixture) contents(t *testing.T) []byte {
	t.Helper()
	p := make([]byte, f.Size())
	if n, err := f.ReadAt(p, 0); n != len(p) || err != nil {
		t.Fatalf("read the disk: %d, %v", n, err)
	}
	return p
}
