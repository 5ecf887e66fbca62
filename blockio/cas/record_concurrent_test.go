package cas_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// recordPromises is what writers of records were told. A payload of 0 means
// that there is no record.
type recordPromises struct {
	mu    sync.Mutex
	acked map[string]recordPromise
}

type recordPromise struct {
	payload byte
	serial  int  // of the change
	pending bool // a change is under way
}

func (p *recordPromises) set(id string, r recordPromise) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked[id] = r
}

func (p *recordPromises) snapshot() map[string]recordPromise {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.acked)
}

// check compares a volume with the promises that hold.
func checkRecords(t *testing.T, v blockio.Volume, promises map[string]recordPromise) error {
	s, err := cas.Open(t.Context(), cas.Options{Volume: v})
	if err != nil {
		return err
	}
	defer s.Close()
	for id, want := range promises {
		r, err := s.Record(t.Context(), "disk", id)
		switch {
		case errors.Is(err, cas.ErrNotFound) && want.payload == 0:
		case err != nil:
			return fmt.Errorf("%s is lost: %w", id, err)
		case want.payload == 0 || r.Payload[0] != want.payload:
			return fmt.Errorf("%s has payload %d, want %d", id, r.Payload[0], want.payload)
		}
	}
	return nil
}

// crashRecords changes many records at once, crashes in the middle, and gives
// the first broken promise.
func crashRecords(t *testing.T, drop func(blockiotest.Op) bool) error {
	t.Helper()
	v := blockiotest.NewMemVolume()
	if err := cas.Init(t.Context(), cas.Options{Volume: v}); err != nil {
		t.Fatal(err)
	}
	s, err := cas.Open(t.Context(), cas.Options{Volume: v})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v.DropSyncs(drop)
	promises := &recordPromises{acked: map[string]recordPromise{}}
	var mu sync.Mutex
	var broken error
	v.OnChange(func(op blockiotest.Op) {
		if op.Seq%7 != 0 {
			return
		}
		before := promises.snapshot()
		clone := v.CrashClone(blockiotest.Crash{Data: blockiotest.Lost, Names: blockiotest.Fate(op.Seq / 7 % 2 * 2), Seed: uint64(op.Seq)})
		after := promises.snapshot()
		maps.DeleteFunc(before, func(id string, p recordPromise) bool { return p.pending || after[id] != p })
		err := checkRecords(t, clone, before)
		mu.Lock()
		defer mu.Unlock()
		if err != nil && broken == nil {
			broken = fmt.Errorf("crash before %v: %w", op, err)
		}
	})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for n := range 12 {
				id := fmt.Sprintf("w%d-%d", w, rng.IntN(3))
				was := promises.snapshot()[id]
				next := recordPromise{payload: byte(n + 1), serial: was.serial + 1}
				if was.payload != 0 && rng.IntN(3) == 0 {
					next.payload = 0
				}
				promises.set(id, recordPromise{serial: next.serial, pending: true})
				var err error
				if next.payload == 0 {
					err = s.RemoveRecord(t.Context(), "disk", id)
				} else {
					err = s.PutRecord(t.Context(), cas.Record{Kind: "disk", ID: id, Payload: []byte{next.payload}})
				}
				if err != nil {
					t.Error(err)
					return
				}
				promises.set(id, next)
			}
		})
	}
	wg.Wait()
	v.OnChange(nil)
	if err := checkRecords(t, v.Reopen(), promises.snapshot()); err != nil {
		t.Error(err)
	}
	return broken
}

// What writers side by side were told holds after a crash, though they share
// the syncs of the directory.
func TestRecordsCrashConcurrent(t *testing.T) {
	if err := crashRecords(t, nil); err != nil {
		t.Error(err)
	}
	// To show that the test would see a missing sync. Which ones are missing
	// depends on how the writers take turns.
	var err error
	for try := 0; err == nil && try < 20; try++ {
		err = crashRecords(t, func(op blockiotest.Op) bool {
			return op.Kind == blockiotest.OpSyncDir && op.Name == "records" && op.Seq%3 == 0
		})
	}
	if err == nil {
		t.Error("with syncs of the directory left out no promise was broken")
	}
}

// Writers of one record come one after another; readers see whole versions.
func TestRecordsOneKey(t *testing.T) {
	v := blockiotest.NewMemVolume()
	if err := cas.Init(t.Context(), cas.Options{Volume: v}); err != nil {
		t.Fatal(err)
	}
	s, err := cas.Open(t.Context(), cas.Options{Volume: v})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := range 30 {
				var err error
				switch (w + n) % 4 {
				case 0:
					err = s.RemoveRecord(t.Context(), "disk", "same")
				case 1:
					_, err = s.Record(t.Context(), "disk", "same")
				default:
					err = s.PutRecord(t.Context(), cas.Record{Kind: "disk", ID: "same", Payload: []byte{byte(w)}})
				}
				if err != nil && !errors.Is(err, cas.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := s.PutRecord(t.Context(), cas.Record{Kind: "disk", ID: "same", Payload: []byte{99}}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range v.List(t.Context(), "records") {
		if err != nil {
			t.Fatal(err)
		}
		n++
		t.Log(e.Name)
	}
	if r, err := s.Record(t.Context(), "disk", "same"); err != nil || r.Payload[0] != 99 || n != 1 {
		t.Errorf("%v, %v, %d objects; want payload 99 and 1", r, err, n)
	}
}
