package cas_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cespare/xxhash/v2"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// gatedVolume holds up the writing of one object until the gate is open, and
// refuses to remove one.
type gatedVolume struct {
	*blockiotest.MemVolume
	name    string
	gate    chan struct{}
	refused string
}

var errRefused = errors.New("refused")

func (v *gatedVolume) Remove(ctx context.Context, name string) error {
	if name == v.refused {
		return errRefused
	}
	return v.MemVolume.Remove(ctx, name)
}

func (v *gatedVolume) Create(ctx context.Context, name string) (blockio.Writer, error) {
	if name == v.name {
		<-v.gate
	}
	return v.MemVolume.Create(ctx, name)
}

const gateRecord = "records/disk.gate.0000000000000001"

// batched puts records r0, r1 … while another is being written, so that they are
// in a batch; f goes on with the store.
func batched(t *testing.T, n int, f func(t *testing.T, v *gatedVolume, s *cas.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &gatedVolume{MemVolume: blockiotest.NewMemVolume(), name: gateRecord, gate: make(chan struct{})}
		if err := cas.Init(t.Context(), cas.Options{Volume: v}); err != nil {
			t.Fatal(err)
		}
		s, err := cas.Open(t.Context(), cas.Options{Volume: v})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		put := func(id string) {
			wg.Go(func() {
				if err := s.PutRecord(t.Context(), cas.Record{Kind: "disk", ID: id, Payload: []byte(id)}); err != nil {
					t.Errorf("put %s: %v", id, err)
				}
			})
			synctest.Wait()
		}
		put("gate")
		for i := range n {
			put(fmt.Sprintf("r%d", i))
		}
		close(v.gate)
		wg.Wait()
		f(t, v, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// recordObjects lists the objects of records.
func recordObjects(t *testing.T, v blockio.Volume) []string {
	t.Helper()
	var names []string
	for e, err := range v.List(t.Context(), "records") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, e.Name)
	}
	return names
}

// diskRecords reads the ids of all records of kind disk, whose payloads must be
// want's, or their ids.
func diskRecords(t *testing.T, v blockio.Volume, want map[string]string) []string {
	t.Helper()
	s, err := cas.Open(t.Context(), cas.Options{Volume: v})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var ids []string
	for r, err := range s.Records(t.Context(), "disk") {
		if err != nil {
			t.Error(err)
			continue
		}
		payload, ok := want[r.ID]
		if !ok {
			payload = r.ID
		}
		if string(r.Payload) != payload {
			t.Errorf("%s has payload %q, want %q", r.ID, r.Payload, payload)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

func equalIDs(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// Records that are put together are one object, which can be decoded by
// FORMAT.md.
func TestBatch(t *testing.T) {
	batched(t, 3, func(t *testing.T, v *gatedVolume, s *cas.Store) {
		equalIDs(t, "objects", recordObjects(t, v), "records/0000000000000001", gateRecord)
		equalIDs(t, "records", diskRecords(t, v, nil), "gate", "r0", "r1", "r2")
		p, err := blockio.ReadObject(t.Context(), v, "records/0000000000000001", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		head := binary.LittleEndian.Uint32(p[12:])
		if string(p[:8]) != "bmBATCH\n" || p[8] != 1 || p[32] != 1 || p[40] != 0 || p[48] != 3 || head != 64+3*(24+4+2)+8 {
			t.Errorf("head % x", p[:64])
		}
		if sum := xxhash.Sum64(p[:head-8]); sum != binary.LittleEndian.Uint64(p[head-8:]) {
			t.Errorf("checksum of the head is % x", p[head-8:head])
		}
		second := p[64+30:]
		if second[0] != 1 || second[16] != 4 || second[20] != 2 || string(second[24:30]) != "diskr1" {
			t.Errorf("second entry % x", second[:30])
		}
		off, size := binary.LittleEndian.Uint32(second[8:]), binary.LittleEndian.Uint32(second[12:])
		if r := p[off : off+size]; string(r[:8]) != "bmRECRD\n" || string(r[64:len(r)-8]) != "diskr1r1" {
			t.Errorf("second record % x", r)
		}
	})
}

// What is removed from a batch stays away, and the last takes the batch along.
func TestBatchRemove(t *testing.T) {
	batched(t, 3, func(t *testing.T, v *gatedVolume, s *cas.Store) {
		left := []string{"gate", "r0", "r1", "r2"}
		for i, id := range []string{"r1", "r0", "r2"} {
			if err := s.RemoveRecord(t.Context(), "disk", id); err != nil {
				t.Fatal(err)
			}
			if err := s.RemoveRecord(t.Context(), "disk", id); !errors.Is(err, cas.ErrNotFound) {
				t.Errorf("remove %s again: %v", id, err)
			}
			left = slices.DeleteFunc(left, func(s string) bool { return s == id })
			equalIDs(t, "without "+id, diskRecords(t, v.Reopen(), nil), left...)
			if i < 2 {
				equalIDs(t, "objects", recordObjects(t, v), fmt.Sprintf("records/%016x", i+2), gateRecord)
			}
		}
		equalIDs(t, "objects in the end", recordObjects(t, v), gateRecord)
	})
}

// A later version of a record hides the one in the batch, also from whoever opens
// the store later and removes it there.
func TestBatchHidden(t *testing.T) {
	batched(t, 2, func(t *testing.T, v *gatedVolume, s *cas.Store) {
		put := func(id string) {
			if err := s.PutRecord(t.Context(), cas.Record{Kind: "disk", ID: id, Payload: []byte("new")}); err != nil {
				t.Fatal(err)
			}
		}
		put("r0")
		equalIDs(t, "r0 changed", diskRecords(t, v.Reopen(), map[string]string{"r0": "new"}), "gate", "r0", "r1")
		again := v.CrashClone(blockiotest.Crash{Data: blockiotest.Kept, Names: blockiotest.Kept})
		later, err := cas.Open(t.Context(), cas.Options{Volume: again})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(later.RemoveRecord(t.Context(), "disk", "r0"), later.Close()); err != nil {
			t.Fatal(err)
		}
		equalIDs(t, "r0 removed later", diskRecords(t, again, nil), "gate", "r1")
		put("r1")
		equalIDs(t, "all changed", diskRecords(t, v.Reopen(), map[string]string{"r0": "new", "r1": "new"}), "gate", "r0", "r1")
		equalIDs(t, "objects", recordObjects(t, v), gateRecord, "records/disk.r0.0000000000000002", "records/disk.r1.0000000000000002")
	})
}

// A batch that is replaced and cannot be removed counts no more, and is not
// forgotten.
func TestBatchStale(t *testing.T) {
	batched(t, 3, func(t *testing.T, v *gatedVolume, s *cas.Store) {
		v.refused = "records/0000000000000001"
		if err := s.RemoveRecord(t.Context(), "disk", "r1"); err != nil {
			t.Fatal(err)
		}
		equalIDs(t, "r1 removed", diskRecords(t, v.Reopen(), nil), "gate", "r0", "r2")
		if err := s.RemoveRecord(t.Context(), "disk", "r0"); !errors.Is(err, errRefused) {
			t.Errorf("remove r0: %v", err)
		}
		equalIDs(t, "r0 not removed", diskRecords(t, v.Reopen(), nil), "gate", "r0", "r2")
		v.refused = ""
		if err := s.RemoveRecord(t.Context(), "disk", "r0"); err != nil {
			t.Fatal(err)
		}
		equalIDs(t, "r0 removed", diskRecords(t, v.Reopen(), nil), "gate", "r2")
		equalIDs(t, "objects", recordObjects(t, v), "records/0000000000000003", gateRecord)
	})
}

// A crash before each change of the volume that a removal makes leaves the record
// or not, and all others.
func TestBatchRemoveCrash(t *testing.T) {
	for _, names := range []blockiotest.Fate{blockiotest.Lost, blockiotest.Kept} {
		batched(t, 3, func(t *testing.T, v *gatedVolume, s *cas.Store) {
			var clones []blockio.Volume
			v.OnChange(func(op blockiotest.Op) {
				clones = append(clones, v.CrashClone(blockiotest.Crash{Data: blockiotest.Lost, Names: names, Seed: uint64(op.Seq)}))
			})
			for _, id := range []string{"r0", "r2"} {
				if err := s.RemoveRecord(t.Context(), "disk", id); err != nil {
					t.Fatal(err)
				}
			}
			v.OnChange(nil)
			gone := 0
			for i, clone := range append(clones, v.CrashClone(blockiotest.Crash{Data: blockiotest.Lost, Names: names})) {
				ids := diskRecords(t, clone, nil)
				if now := 4 - len(ids); now < gone || now > 2 || !slices.Contains(ids, "r1") || now > 0 && slices.Contains(ids, "r0") {
					t.Errorf("crash %d: records %q after %d were gone", i, ids, gone)
				} else {
					gone = now
				}
			}
			if gone != 2 {
				t.Errorf("%d records are gone in the end", gone)
			}
		})
	}
}

// Damage to one record of a batch takes no other with it; of damage to the head
// the store says that records are lost, and collects nothing.
func TestBatchDamaged(t *testing.T) {
	batched(t, 3, func(t *testing.T, v *gatedVolume, _ *cas.Store) {
		const name = "records/0000000000000001"
		p, err := blockio.ReadObject(t.Context(), v, name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ at, good int }{{len(p) - 9, 3}, {70, 1}} {
			broken := slices.Clone(p)
			broken[c.at] ^= 1
			clone := v.CrashClone(blockiotest.Crash{Data: blockiotest.Kept, Names: blockiotest.Kept})
			err := clone.Remove(t.Context(), name)
			if err == nil {
				err = blockio.WriteObject(t.Context(), clone, name, broken)
			}
			if err != nil {
				t.Fatal(err)
			}
			s := openStore(t, cas.Options{Volume: clone})
			good, bad := 0, 0
			for _, err := range s.Records(t.Context(), "disk") {
				if err == nil {
					good++
				} else if errors.Is(err, cas.ErrCorrupt) {
					bad++
				}
			}
			if good != c.good || bad != 1 {
				t.Errorf("byte %d flipped: %d good and %d bad records, want %d and 1", c.at, good, bad, c.good)
			}
			if _, err := s.GC(t.Context(), cas.GCOptions{}); !errors.Is(err, cas.ErrCorrupt) {
				t.Errorf("byte %d flipped: gc says %v", c.at, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
