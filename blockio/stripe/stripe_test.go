package stripe_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// unit is small, so that small objects have rows.
const unit = 8 << 10

// set is a stripe over shards in memory.
type set struct {
	k, m   int
	shards []*blockiotest.MemVolume // nil: missing
}

func newSet(t testing.TB, k, m int) *set {
	t.Helper()
	s := &set{k: k, m: m}
	for range k + m {
		s.shards = append(s.shards, blockiotest.NewMemVolume())
	}
	if err := stripe.Init(t.Context(), s.volumes(), stripe.Options{K: k, M: m, Unit: unit}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *set) volumes() []blockio.Volume {
	vols := make([]blockio.Volume, len(s.shards))
	for i, sh := range s.shards {
		if sh != nil {
			vols[i] = sh
		}
	}
	return vols
}

func (s *set) tryOpen(ctx context.Context) (*stripe.Volume, error) {
	return stripe.Open(ctx, s.volumes(), stripe.Options{Labels: labels(len(s.shards))})
}

func labels(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("disk%d", i))
	}
	return names
}

// open opens the stripe until the test ends, or until it is closed.
func (s *set) open(t testing.TB) *stripe.Volume {
	t.Helper()
	v, err := s.tryOpen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// without is the set with some shards gone.
func (s *set) without(gone ...int) *set {
	c := &set{k: s.k, m: s.m, shards: append([]*blockiotest.MemVolume(nil), s.shards...)}
	for _, i := range gone {
		c.shards[i] = nil
	}
	return c
}

// clone is an independent copy of the set, of all that it holds.
func (s *set) clone() *set {
	c := &set{k: s.k, m: s.m, shards: make([]*blockiotest.MemVolume, len(s.shards))}
	for i, sh := range s.shards {
		if sh != nil {
			c.shards[i] = sh.CrashClone(blockiotest.Crash{Data: blockiotest.Kept, Names: blockiotest.Kept})
		}
	}
	return c
}

// pattern is n bytes that follow from the seed.
func pattern(n int, seed uint64) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1}).Read(p)
	return p
}

func put(t testing.TB, v *stripe.Volume, name string, p []byte) {
	t.Helper()
	if err := blockio.WriteObject(t.Context(), v, name, p); err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, v *stripe.Volume, name string, p []byte) {
	t.Helper()
	got, err := blockio.ReadObject(t.Context(), v, name, 1<<30)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	} else if !bytes.Equal(got, p) {
		t.Errorf("%s: %d bytes that differ from the %d written", name, len(got), len(p))
	}
}

// wantChecked reads all of an object with ReconstructAt.
func wantChecked(t testing.TB, v *stripe.Volume, name string, p []byte) {
	t.Helper()
	o, err := v.Open(t.Context(), name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer o.Close()
	got := make([]byte, o.Size())
	if _, err := blockio.ReconstructAt(o, got, 0); err != nil {
		t.Errorf("%s: %v", name, err)
	} else if !bytes.Equal(got, p) {
		t.Errorf("%s: ReconstructAt gives other bytes than were written", name)
	}
}

var shapes = []struct{ k, m int }{{1, 0}, {2, 0}, {2, 1}, {4, 2}, {8, 3}, {1, 1}, {1, 2}}

func TestVolume(t *testing.T) {
	for _, c := range shapes {
		t.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(t *testing.T) {
			t.Parallel()
			blockiotest.TestVolume(t, func(t *testing.T) blockio.Volume {
				return newSet(t, c.k, c.m).open(t)
			})
		})
	}
}
