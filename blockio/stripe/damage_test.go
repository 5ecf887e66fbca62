package stripe_test

import (
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// change rewrites a shard's object, behind the stripe's back.
func change(t testing.TB, sh *blockiotest.MemVolume, name string, f func(p []byte) []byte) {
	t.Helper()
	p, err := blockio.ReadObject(t.Context(), sh, name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	w, err := sh.Replace(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	p = f(p)
	if _, err := w.WriteAt(p, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), int64(len(p))); err != nil {
		t.Fatal(err)
	}
}

// flip turns over a bit of each byte.
func flip(t testing.TB, sh *blockiotest.MemVolume, name string, at ...int64) {
	t.Helper()
	change(t, sh, name, func(p []byte) []byte {
		for _, off := range at {
			p[off] ^= 0x40
		}
		return p
	})
}

// subsets yields all sets of at most most of n.
func subsets(n, most int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		for mask := range uint(1) << n {
			if bits.OnesCount(mask) > most {
				continue
			}
			var set []int
			for i := range n {
				if mask&(1<<i) != 0 {
					set = append(set, i)
				}
			}
			if !yield(set) {
				return
			}
		}
	}
}

// skip is how many sets of shards of a stripe to pass over for one that is tried:
// of the wide ones there are hundreds.
func skip(k int) int {
	if k < 8 {
		return 1
	}
	return every(13)
}

// some yields each nth set.
func some(sets iter.Seq[[]int], n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		i := 0
		for set := range sets {
			if i++; i%n == 0 && !yield(set) {
				return
			}
		}
	}
}

// objects are of all lengths that matter to a stripe.
func objects(k int) map[string][]byte {
	objs := map[string][]byte{}
	row := k * unit
	for i, n := range []int{
		0, 1, 4095, 4096, 4097, unit, unit + 1, row - 1, row, row + 1, row + 4096, row + k*4096 - 1, row + k*4096,
		3*row + 2*unit + 77, 7*row - 4096, 8 * row,
	} {
		objs[fmt.Sprintf("seg/o%02d", i)] = pattern(n, uint64(n))
	}
	objs["rec/small"] = []byte("a record")
	return objs
}

func putAll(t testing.TB, v *stripe.Volume, objs map[string][]byte) {
	t.Helper()
	for name, p := range objs {
		put(t, v, name, p)
	}
}

// wantAll checks that all objects are listed and that every way to read them
// gives what was written.
func wantAll(t testing.TB, v *stripe.Volume, objs map[string][]byte) {
	t.Helper()
	listed := map[string]int64{}
	for _, kind := range []string{"seg", "rec"} {
		for e, err := range v.List(t.Context(), kind) {
			if err != nil {
				t.Fatal(err)
			}
			listed[e.Name] = e.Size
		}
	}
	for name, p := range objs {
		if size, ok := listed[name]; !ok || size != int64(len(p)) {
			t.Errorf("%s: listed %v with size %d, want %d", name, ok, size, len(p))
		}
		want(t, v, name, p)
		wantRanges(t, v, name, p)
		wantChecked(t, v, name, p)
	}
	if len(listed) != len(objs) {
		t.Errorf("%d objects listed, want %d", len(listed), len(objs))
	}
}

func wantRanges(t testing.TB, v *stripe.Volume, name string, p []byte) {
	t.Helper()
	if len(p) == 0 {
		return
	}
	o, err := v.Open(t.Context(), name)
	if err != nil {
		t.Error(err)
		return
	}
	defer o.Close()
	rng := rand.New(rand.NewPCG(uint64(len(p)), 1))
	for range 8 {
		off := rng.IntN(len(p))
		n := 1 + rng.IntN(min(len(p)-off, 3*unit))
		got := make([]byte, n)
		if _, err := o.ReadAt(got, int64(off)); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if string(got) != string(p[off:off+n]) {
			t.Errorf("%s: %d bytes at %d differ", name, n, off)
		}
	}
}

func TestAllLosses(t *testing.T) {
	for _, c := range []struct{ k, m int }{{2, 1}, {4, 2}, {8, 3}, {1, 1}, {1, 2}, {3, 3}} {
		t.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(t *testing.T) {
			t.Parallel()
			s := newSet(t, c.k, c.m)
			objs := objects(c.k)
			putAll(t, s.open(t), objs)
			for gone := range some(subsets(c.k+c.m, c.m), skip(c.k)) {
				v := s.without(gone...).open(t)
				wantAll(t, v, objs)
				if t.Failed() {
					t.Fatalf("without shards %v", gone)
				}
			}
			for gone := range subsets(c.k+c.m, c.m+1) {
				if len(gone) <= c.m {
					continue
				}
				_, err := s.without(gone...).tryOpen(t.Context())
				wantErr := stripe.ErrLost
				if len(gone) == c.k+c.m {
					wantErr = stripe.ErrNoStripe
				}
				if !errors.Is(err, wantErr) {
					t.Errorf("open without shards %v: %v, want %v", gone, err, wantErr)
				}
			}
		})
	}
}

// TestLossesWithFlips takes shards away and damages units of others, at most m
// units of any row in all: checked reads give every byte.
func TestLossesWithFlips(t *testing.T) {
	for _, c := range []struct{ k, m int }{{2, 1}, {4, 2}, {8, 3}} {
		t.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(t *testing.T) {
			t.Parallel()
			s := newSet(t, c.k, c.m)
			objs := objects(c.k)
			putAll(t, s.open(t), objs)
			rng := rand.New(rand.NewPCG(uint64(c.k), 2))
			for gone := range some(subsets(c.k+c.m, c.m), skip(c.k)) {
				d := s.without(gone...).clone()
				for name, p := range objs {
					damage(t, d, name, len(p), c.m-len(gone), rng)
				}
				v := d.open(t)
				for name, p := range objs {
					wantChecked(t, v, name, p)
				}
				if t.Failed() {
					t.Fatalf("without shards %v and with flips", gone)
				}
			}
		})
	}
}

// damage flips a byte in up to most units of each row of an object of n bytes,
// and gives how many units that is.
func damage(t testing.TB, s *set, name string, n, most int, rng *rand.Rand) int {
	t.Helper()
	flips := map[int][]int64{}
	row, units := int64(s.k*unit), 0
	for r := int64(0); r*row < int64(n); r++ {
		length := min(int64(unit), (int64(n)-r*row+int64(s.k)*4096-1)/int64(s.k)/4096*4096)
		present := s.present()
		rng.Shuffle(len(present), func(i, j int) { present[i], present[j] = present[j], present[i] })
		for _, i := range present[:most] {
			flips[i] = append(flips[i], r*unit+rng.Int64N(length))
			units++
		}
	}
	for i, at := range flips {
		flip(t, s.shards[i], name, at...)
	}
	return units
}

func (s *set) present() []int {
	var present []int
	for i, sh := range s.shards {
		if sh != nil {
			present = append(present, i)
		}
	}
	return present
}

// TestTooManyWrongUnits damages m+1 units of a row: an error that names object
// and row, and the other rows still read.
func TestTooManyWrongUnits(t *testing.T) {
	s := newSet(t, 4, 2)
	p := pattern(3*4*unit, 5)
	put(t, s.open(t), "seg/a", p)
	for i := range 3 {
		flip(t, s.shards[i], "seg/a", unit+100)
	}
	v := s.open(t)
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	_, err = blockio.ReconstructAt(o, make([]byte, 10), 4*unit)
	var lost *stripe.LostError
	if !errors.As(err, &lost) || lost.Object != "seg/a" || lost.Row != 1 || lost.Have != 3 || lost.Need != 4 {
		t.Errorf("read of a lost row: %v", err)
	}
	got := make([]byte, 4*unit)
	for _, off := range []int64{0, 8 * unit} {
		if _, err := blockio.ReconstructAt(o, got, off); err != nil || string(got) != string(p[off:off+4*unit]) {
			t.Errorf("row at %d: %v", off, err)
		}
	}
	// The shard that is whole is enough for its own bytes.
	if _, err := blockio.ReconstructAt(o, got[:unit], 7*unit); err != nil || string(got[:unit]) != string(p[7*unit:8*unit]) {
		t.Errorf("a good unit of the lost row: %v", err)
	}
}

// TestTooFewShards removes the objects of m+1 shards while all volumes are
// there, or damages them.
func TestTooFewShards(t *testing.T) {
	s := newSet(t, 4, 2)
	put(t, s.open(t), "seg/a", pattern(100_000, 1))
	for i := range 3 {
		change(t, s.shards[i], "seg/a", func(p []byte) []byte { return p[:len(p)-1] })
	}
	v := s.open(t)
	var lost *stripe.LostError
	if _, err := v.Open(t.Context(), "seg/a"); !errors.As(err, &lost) || lost.Have != 3 {
		t.Errorf("open with three damaged shards: %v, want a LostError", err)
	}
	w, err := v.Create(t.Context(), "seg/a")
	if !errors.Is(err, stripe.ErrLost) {
		t.Errorf("create in the place of a lost object: %v, %v, want ErrLost", w, err)
	}
}
