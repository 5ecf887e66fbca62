package stripe_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// anyOp are all calls that a shard's volume makes.
const anyOp = blockiotest.OpChanges | blockiotest.OpOpen | blockiotest.OpRead | blockiotest.OpList

// history is what a workload was told.
type history struct {
	acked   map[string][]byte   // committed and not removed
	removed map[string]bool     // removal was acknowledged
	unsure  map[string][][]byte // under way, or failed: absent, or one of these
}

func newHistory() *history {
	return &history{acked: map[string][]byte{}, removed: map[string]bool{}, unsure: map[string][][]byte{}}
}

func (h *history) clone() *history {
	return &history{acked: maps.Clone(h.acked), removed: maps.Clone(h.removed), unsure: maps.Clone(h.unsure)}
}

// unsureOf is the history while a name is being changed: from what it is, to
// absent or to one of the contents.
func (h *history) unsureOf(name string, contents ...[]byte) *history {
	c := h.clone()
	if p, ok := c.acked[name]; ok {
		contents = append(contents, p)
	}
	delete(c.acked, name)
	delete(c.removed, name)
	if name != "" {
		c.unsure[name] = contents
	}
	return c
}

func (h *history) put(t testing.TB, v *stripe.Volume, name string, p []byte) error {
	h.unsure[name] = append(slices.Clip(h.unsure[name]), p)
	delete(h.removed, name)
	err := blockio.WriteObject(t.Context(), v, name, p)
	if err == nil {
		h.acked[name] = p
		delete(h.unsure, name)
	}
	return err
}

func (h *history) remove(t testing.TB, v *stripe.Volume, name string) error {
	if p, ok := h.acked[name]; ok {
		h.unsure[name] = append(slices.Clip(h.unsure[name]), p)
	}
	delete(h.acked, name)
	err := v.Remove(t.Context(), name)
	if err == nil {
		h.removed[name] = true
		delete(h.unsure, name)
	}
	return err
}

// check opens the objects as they must be: those acknowledged whole, those
// removed absent, the others whole or absent.
func (h *history) check(t testing.TB, v *stripe.Volume) {
	t.Helper()
	for name, p := range h.acked {
		wantChecked(t, v, name, p)
	}
	for name := range h.removed {
		wantNone(t, v, name)
	}
	for name, any := range h.unsure {
		o, err := v.Open(t.Context(), name)
		if errors.Is(err, blockio.ErrNotFound) || errors.Is(err, stripe.ErrLost) && degraded(v) {
			continue // where shards are missing, nobody can tell
		}
		got, err := readChecked(o, err)
		if err != nil || !slices.ContainsFunc(any, func(p []byte) bool { return bytes.Equal(p, got) }) {
			t.Errorf("%s is torn: %v", name, err)
		}
	}
}

// degraded says whether a shard is missing.
func degraded(v *stripe.Volume) bool {
	return slices.ContainsFunc(v.Shards(), func(s stripe.ShardState) bool { return s.Status == stripe.ShardMissing })
}

// readChecked reads and closes an object, if it was opened.
func readChecked(o blockio.Object, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	got := make([]byte, o.Size())
	_, err = blockio.ReconstructAt(o, got, 0)
	return got, errors.Join(err, o.Close())
}

// wantNoWrongBytes reads what can be read: errors are fine, wrong bytes not.
func (h *history) wantNoWrongBytes(t testing.TB, v *stripe.Volume) {
	t.Helper()
	for name, p := range h.acked {
		if got, err := readChecked(v.Open(t.Context(), name)); err == nil && !bytes.Equal(got, p) {
			t.Errorf("%s reads wrong bytes", name)
		}
	}
}

// workload writes, reads, removes, heals and scrubs; errors are for the history
// to tell.
func workload(t testing.TB, s *set, h *history) {
	v, err := s.tryOpen(t.Context())
	if err != nil {
		return
	}
	_ = h.put(t, v, "seg/new", pattern(s.k*unit*2+5000, 8))
	_ = h.put(t, v, "rec/new", []byte("a record"))
	h.wantNoWrongBytes(t, v)
	_ = h.remove(t, v, "seg/old")
	_ = h.put(t, v, "seg/old", pattern(9000, 9))
	_, _ = v.Heal(t.Context(), stripe.HealOptions{})
	_, _ = v.Scrub(t.Context(), stripe.ScrubOptions{Repair: true})
	h.wantNoWrongBytes(t, v)
	_ = v.Close(t.Context())
}

// every is 1 when BLOCKMILL_EXHAUSTIVE is set, else n: of many cases that are
// much alike, each nth is tried.
func every(n int) int {
	if os.Getenv("BLOCKMILL_EXHAUSTIVE") != "" {
		return 1
	}
	return n
}

// beforeFaults is a set with objects, one shard of which lacks one and one of
// which has a wrong unit, so that healing and scrubbing write too.
func beforeFaults(t testing.TB, k, m int) (*set, *history) {
	s, h := newSet(t, k, m), newHistory()
	v := s.open(t)
	for name, n := range map[string]int{"seg/old": 50_000, "seg/keep": k*unit*2 + 1, "rec/keep": 100} {
		if err := h.put(t, v, name, pattern(n, uint64(n))); err != nil {
			t.Fatal(err)
		}
	}
	closeVolume(t, v)
	return s, h
}

// TestFaultAtEveryCall makes each call of one shard's volume fail, in every way:
// nothing acknowledged is lost, no wrong byte is read, and one healing and one
// scrub make all whole again.
func TestFaultAtEveryCall(t *testing.T) {
	for _, c := range []struct{ k, m int }{{4, 2}, {1, 2}} {
		base, before := beforeFaults(t, c.k, c.m)
		for i, f := range []struct {
			name  string
			fault blockiotest.Fault
		}{
			{"error", blockiotest.Fault{Err: syscall.EIO}},
			{"errors from then on", blockiotest.Fault{Err: syscall.EIO, Sticky: true}},
			{"short", blockiotest.Fault{Kind: blockiotest.FaultShort, Err: syscall.EIO}},
			{"flip", blockiotest.Fault{Kind: blockiotest.FaultFlip}},
			{"full", blockiotest.Fault{Err: syscall.ENOSPC, Sticky: true, Ops: blockiotest.NoSpace(1).Ops}},
		} {
			t.Run(fmt.Sprintf("%d+%d %s", c.k, c.m, f.name), func(t *testing.T) {
				t.Parallel()
				for shard := range c.k + c.m {
					if shard != 0 && shard != c.k {
						continue // data shards are alike, and so are parity shards
					}
					for n := 1 + (i+shard)%every(3); n < 500; n += every(3) {
						s, h := base.clone(), before.clone()
						flip(t, s.shards[1], "seg/keep", 5)
						fault := f.fault
						fault.N = n
						if fault.Ops == 0 {
							fault.Ops = anyOp
						}
						calls := s.shards[shard].Count(fault.Ops)
						s.shards[shard].Inject(fault)
						workload(t, s, h)
						done := s.shards[shard].Count(fault.Ops)-calls < n // it was not met
						s.shards[shard].ClearFaults()
						s.shards[shard] = s.shards[shard].Reopen()
						afterFault(t, s, h)
						if t.Failed() {
							t.Fatalf("shard %d, call %d", shard, n)
						}
						if done {
							break
						}
					}
				}
			})
		}
	}
}

func afterFault(t testing.TB, s *set, h *history) {
	t.Helper()
	v := s.open(t)
	h.check(t, v)
	if r := heal(t, v); len(r.Errs) > 0 || r.Left > 0 {
		t.Errorf("heal: %+v", r)
	}
	if r := scrub(t, v, stripe.ScrubOptions{Repair: true}); !r.Clean() {
		t.Errorf("scrub: %+v", r)
	}
	h.check(t, v)
	heal(t, v)
	wantWhole(t, v)
	for i, sh := range s.shards {
		if n := sh.OpenFiles(); n > 0 {
			t.Errorf("shard %d has %d open files left", i, n)
		}
	}
}

// TestFaultsEverywhere makes the nth call of every shard fail at once: errors
// are allowed, lost objects and wrong bytes are not.
func TestFaultsEverywhere(t *testing.T) {
	base, before := beforeFaults(t, 4, 2)
	for i, f := range []blockiotest.Fault{
		{Ops: anyOp, Err: syscall.EIO},
		{Ops: anyOp, Err: syscall.EIO, Sticky: true},
		{Ops: anyOp, Err: syscall.EIO, Kind: blockiotest.FaultShort},
		{Ops: blockiotest.NoSpace(1).Ops, Err: syscall.ENOSPC, Sticky: true},
	} {
		t.Run(fmt.Sprintf("%v %v", f.Kind, f.Sticky), func(t *testing.T) {
			t.Parallel()
			for n := 1 + i%every(3); n < 200; n += every(3) {
				s, h := base.clone(), before.clone()
				for i := range s.shards {
					fault := f
					fault.N = n
					s.shards[i].Inject(fault)
				}
				workload(t, s, h)
				for i := range s.shards {
					s.shards[i].ClearFaults()
					s.shards[i] = s.shards[i].Reopen()
				}
				v := s.open(t)
				h.check(t, v)
				heal(t, v)
				scrub(t, v, stripe.ScrubOptions{Repair: true})
				heal(t, v)
				h.check(t, v)
				wantWhole(t, v)
				if t.Failed() {
					t.Fatalf("call %d", n)
				}
			}
		})
	}
}
