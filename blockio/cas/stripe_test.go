package cas_test

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// shardSet is the shards of a small stripe; nil is one that is lost.
type shardSet struct {
	k, m   int
	shards []*blockiotest.MemVolume
}

func newShardSet(t *testing.T, k, m int) *shardSet {
	t.Helper()
	s := &shardSet{k: k, m: m}
	for range k + m {
		s.shards = append(s.shards, blockiotest.NewMemVolume())
	}
	if err := stripe.Init(t.Context(), s.volumes(), stripe.Options{K: k, M: m, Unit: 16 << 10}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shardSet) volumes() []blockio.Volume {
	vols := make([]blockio.Volume, len(s.shards))
	for i, sh := range s.shards {
		if sh != nil {
			vols[i] = sh
		}
	}
	return vols
}

func (s *shardSet) open(ctx context.Context) (*stripe.Volume, error) {
	return stripe.Open(ctx, s.volumes(), stripe.Options{Arena: blockio.NewArena(16 << 20)})
}

func stripedOptions(v blockio.Volume) cas.Options {
	opts := testOptions(v, "")
	opts.Buffers, opts.ReadBuffers = 4, 1
	return opts
}

// imported is a store on the set with some images, closed again.
func (s *shardSet) imported(t *testing.T, workload string) *model {
	t.Helper()
	ctx := t.Context()
	v, err := s.open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	store := newStore(t, stripedOptions(v))
	m := newModel()
	for _, a := range []byte(workload) {
		if err := m.do(ctx, store, act(a), func() {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(store.Close(), v.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	return m
}

// without is the set as it is after a crash that loses nothing, less some shards.
func (s *shardSet) without(lost uint) *shardSet {
	left := &shardSet{k: s.k, m: s.m, shards: make([]*blockiotest.MemVolume, len(s.shards))}
	for i, sh := range s.shards {
		if lost&(1<<i) == 0 {
			left.shards[i] = sh.CrashClone(blockiotest.Crash{Data: blockiotest.Kept, Names: blockiotest.Kept})
		}
	}
	return left
}

// flip turns over bits of a shard's objects: a few in each.
func flip(t *testing.T, v *blockiotest.MemVolume, rng *rand.Rand) {
	t.Helper()
	for _, kind := range []string{"segments", "manifests", "records"} {
		for e, err := range v.List(t.Context(), kind) {
			if err != nil {
				t.Fatal(err)
			}
			rewrite(t, v, e.Name, func(p []byte) {
				for range 1 + rng.IntN(8) {
					p[rng.IntN(len(p))] ^= 1 << rng.IntN(8)
				}
			})
		}
	}
}

// compareOn opens the store on a set and compares it with a model.
func (m *model) compareOn(ctx context.Context, s *shardSet) (err error) {
	v, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close(ctx)) }()
	store, err := cas.Open(ctx, stripedOptions(v))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return m.compare(ctx, store)
}

// TestLosses takes away every set of up to m shards, and has bits flipped on as
// many more as that leaves: every byte and every record is there, without an
// index. One shard more that is gone is an explicit error; one more with flipped
// bits is one where they are met, and never wrong bytes.
func TestLosses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ k, m, skip int }{{2, 1, 1}, {4, 2, 1}, {8, 3, 29}} {
		t.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(t *testing.T) {
			t.Parallel()
			s := newShardSet(t, c.k, c.m)
			m := s.imported(t, "idri")
			rng := rand.New(rand.NewPCG(uint64(c.k), uint64(c.m)))
			seen, beyond, skip := 0, 0, every(c.skip)
			for lost := range uint(1) << (c.k + c.m) {
				n := bits.OnesCount(lost)
				if n > c.m+1 {
					continue
				}
				if seen++; seen%skip != 0 {
					continue
				}
				left := s.without(lost)
				if n > c.m {
					if err := m.compareOn(t.Context(), left); !errors.Is(err, stripe.ErrLost) {
						t.Errorf("without %b: %v, want ErrLost", lost, err)
					}
					continue
				}
				for _, i := range rng.Perm(len(left.shards)) {
					if sh := left.shards[i]; sh != nil && n <= c.m {
						if err := m.compareOn(t.Context(), left); err != nil {
							t.Errorf("without %b, with bits of others flipped: %v", lost, err)
						}
						flip(t, sh, rng)
						n++
					}
				}
				failed, err := m.readOn(t.Context(), left)
				if err != nil {
					t.Errorf("without %b, with bits of too many others flipped: %v", lost, err)
				}
				if failed {
					beyond++
				}
			}
			if beyond == 0 {
				t.Error("damage beyond what parity makes up for was never met")
			}
			t.Logf("%d sets of shards, %d times an error beyond them", seen/skip, beyond)
		})
	}
}

// readOn opens the store on a set and reads all that can be read: it says whether
// something could not. The error is that of wrong bytes.
func (m *model) readOn(ctx context.Context, s *shardSet) (failed bool, err error) {
	v, err := s.open(ctx)
	if err != nil {
		return true, nil
	}
	defer func() { err = errors.Join(err, v.Close(ctx)) }()
	store, err := cas.Open(ctx, stripedOptions(v))
	if err != nil {
		return true, nil
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return m.compare(ctx, store) != nil, m.noWrongBytes(ctx, store)
}

// TestLostRecord damages all shards of a record: the image is not taken for one
// that was removed, and its chunks stay.
func TestLostRecord(t *testing.T) {
	t.Parallel()
	s := newShardSet(t, 2, 1)
	s.imported(t, "ii")
	for _, sh := range s.shards {
		for e := range sh.List(t.Context(), "records") {
			p, err := blockio.ReadObject(t.Context(), sh, e.Name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			p[len(p)-5] ^= 1 // in the trailer
			w, err := sh.Replace(t.Context(), e.Name)
			if err == nil {
				_, err = w.WriteAt(p, 0)
			}
			if err == nil {
				err = w.Commit(t.Context(), int64(len(p)))
			}
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	v, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store := openStore(t, stripedOptions(v))
	good, lost := 0, 0
	for _, err := range store.Records(t.Context(), "image") {
		if errors.Is(err, blockio.ErrLost) {
			lost++
		} else if err == nil {
			good++
		}
	}
	if good != 1 || lost != 1 {
		t.Errorf("%d good and %d lost records, want 1 and 1", good, lost)
	}
	if _, err := store.GC(t.Context(), cas.GCOptions{}); !errors.Is(err, blockio.ErrLost) {
		t.Errorf("gc: %v, want ErrLost", err)
	}
}

// TestCrashOverStripes crashes workloads in their last operation before every
// call of any shard that may make something durable, so also between the commits
// of the shards of one object. What each shard loses is its own.
func TestCrashOverStripes(t *testing.T) {
	t.Parallel()
	rounds := 6 / every(6)
	for i, w := range []string{"i", "ii", "ir", "id", "ig", "irg", "dir", "iddrg"} {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			s := newShardSet(t, 2, 1)
			c := stripeCrasher{set: s, rounds: rounds, rng: rand.New(rand.NewPCG(uint64(i), 0))}
			c.run(t, w)
			t.Logf("%d crashes", len(c.points))
			for _, p := range c.points {
				v, err := p.set.open(t.Context())
				if err == nil {
					err = errors.Join(p.model.verify(t.Context(), stripedOptions(v)), v.Close(t.Context()))
				}
				if err != nil {
					t.Errorf("before %v of shard %d: %v", p.op, p.shard, err)
				}
			}
		})
	}
}

type stripePoint struct {
	set   *shardSet
	model *model
	op    blockiotest.Op
	shard int
}

type stripeCrasher struct {
	set    *shardSet
	rounds int // crashes before each call

	mu     sync.Mutex
	rng    *rand.Rand
	points []stripePoint
}

func (c *stripeCrasher) run(t *testing.T, workload string) {
	t.Helper()
	ctx := t.Context()
	v, err := c.set.open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	store := newStore(t, stripedOptions(v))
	m := newModel()
	for i, a := range []byte(workload) {
		begin := func() {}
		if i == len(workload)-1 {
			begin = func() {
				at := m.clone()
				for n, sh := range c.set.shards {
					sh.OnChange(func(op blockiotest.Op) { c.snap(at, n, op) })
				}
			}
		}
		if err := m.do(ctx, store, act(a), begin); err != nil {
			t.Fatal(err)
		}
	}
	for _, sh := range c.set.shards {
		sh.OnChange(nil)
	}
	c.snap(m, -1, blockiotest.Op{Kind: blockiotest.OpSync}) // all is acknowledged now
	if err := errors.Join(store.Close(), v.Close(ctx)); err != nil {
		t.Fatal(err)
	}
}

func (c *stripeCrasher) snap(m *model, shard int, op blockiotest.Op) {
	if op.Kind&(blockiotest.OpSync|blockiotest.OpSyncDir|blockiotest.OpRename|blockiotest.OpRemove) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fates := []blockiotest.Fate{blockiotest.Lost, blockiotest.Kept, blockiotest.Torn}
	for range c.rounds {
		p := stripePoint{set: &shardSet{k: c.set.k, m: c.set.m}, model: m, op: op, shard: shard}
		for _, sh := range c.set.shards {
			p.set.shards = append(p.set.shards, sh.CrashClone(blockiotest.Crash{
				Data: fates[c.rng.IntN(3)], Names: fates[c.rng.IntN(3)], Seed: c.rng.Uint64(),
			}))
		}
		c.points = append(c.points, p)
	}
}
