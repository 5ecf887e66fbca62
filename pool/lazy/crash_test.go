package lazy_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
)

// history is what each page may be found to hold after a crash: what it held
// at the last sync, or was given since.
type history struct {
	synced []byte
	since  map[int64][][]byte // by page
	model  *model
}

func newHistory(f *fixture) *history {
	m := newModel(f)
	return &history{synced: bytes.Clone(m.data), since: map[int64][][]byte{}, model: m}
}

func (h *history) changed(off, n int64) {
	for at := off / page; at*page < off+n; at++ {
		h.since[at] = append(h.since[at], bytes.Clone(h.page(h.model.data, at)))
	}
}

func (h *history) sync() {
	copy(h.synced, h.model.data)
	clear(h.since)
}

func (h *history) page(p []byte, at int64) []byte {
	return p[at*page : min((at+1)*page, int64(len(p)))]
}

// check says what a disk holds that it should not: each sector of a page must
// be one of its versions.
func (h *history) check(got []byte) error {
	for at := int64(0); at*page < int64(len(got)); at++ {
		have := h.page(got, at)
		versions := append([][]byte{h.page(h.synced, at)}, h.since[at]...)
		for s := 0; s < len(have); s += atom {
			end := min(s+atom, len(have))
			ok := false
			for _, v := range versions {
				ok = ok || bytes.Equal(have[s:end], v[s:end])
			}
			if !ok {
				return fmt.Errorf("page %d, sector %d: neither as synced nor as written since (%d versions)", at, s/atom, len(versions))
			}
		}
	}
	return nil
}

// play runs random changes, syncs and hydration until the power goes, and says
// what may be there then.
func play(f *fixture, rng *rand.Rand, steps int) *history {
	h := newHistory(f)
	for range steps {
		var err error
		switch rng.IntN(8) {
		case 0:
			if err = f.Sync(); err == nil {
				h.sync()
			}
		case 1:
			if rng.IntN(4) == 0 {
				err = f.Hydrate(context.Background())
				if err == nil {
					h.sync()
				}
			}
		default:
			var off, n int64
			off, n, err = h.model.step(f, rng)
			h.changed(off, n)
		}
		if err != nil {
			break
		}
	}
	return h
}

// TestCrash cuts the power at every call of a random history, and looks at the
// disk in the states in which it could be found, before and after hydration.
func TestCrash(t *testing.T) {
	const size = 120<<10 + 700
	for seed := range uint64(4) {
		whole := newFixture(t, size, 90<<10)
		play(whole, rand.New(rand.NewPCG(seed, 5)), 25)
		for cut := 1; cut <= whole.power.calls; cut++ {
			f := newFixture(t, size, 90<<10)
			f.power.fail = cut
			if cut <= 2 {
				continue // the disk is being made
			}
			h := play(f, rand.New(rand.NewPCG(seed, 5)), 25)
			rng := rand.New(rand.NewPCG(seed, uint64(cut)))
			for _, keep := range []float64{0, 1, 0.5} {
				c := f.crash(t, rng, keep)
				found := c.contents(t)
				if err := h.check(found); err != nil {
					t.Fatalf("seed %d, call %d, keeping %v: %v", seed, cut, keep, err)
				}
				if err := c.Hydrate(t.Context()); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(c.data.synced, found) {
					t.Fatalf("seed %d, call %d, keeping %v: hydration changed the disk", seed, cut, keep)
				}
			}
		}
	}
}

// TestCrashTestSees shows that the test above would notice a map that is durable
// before the data is.
func TestCrashTestSees(t *testing.T) {
	for seed := range uint64(20) {
		f := newFixture(t, 300<<10, 200<<10)
		f.data.skip = true
		h := play(f, rand.New(rand.NewPCG(seed, 5)), 25)
		if h.check(f.crash(t, rand.New(rand.NewPCG(seed, 1)), 0).contents(t)) != nil {
			return
		}
	}
	t.Error("data that is never synced was not missed")
}
