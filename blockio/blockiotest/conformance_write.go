package blockiotest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
)

func testConcurrentWrites(t *testing.T, v blockio.Volume) {
	w := create(t, v, "seg/a")
	unit := w.Unit()
	p := pattern(37*unit+unit/3, 2)
	var wg sync.WaitGroup
	for first := range 4 {
		wg.Go(func() {
			for off := first * unit; off < len(p); off += 4 * unit {
				if _, err := w.WriteAt(p[off:min(off+unit, len(p))], int64(off)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := w.Commit(t.Context(), int64(len(p))); err != nil {
		t.Fatal(err)
	}
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for seed := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 0))
			for range 50 {
				off := rng.IntN(len(p))
				got := make([]byte, 1+rng.IntN(len(p)-off))
				if _, err := o.ReadAt(got, int64(off)); err != nil {
					t.Error(err)
				} else if !bytes.Equal(got, p[off:off+len(got)]) {
					t.Errorf("%d bytes at %d differ", len(got), off)
				}
			}
		})
	}
	wg.Wait()
}

// testReserved writes less, and more, than space was reserved for.
func testReserved(t *testing.T, v blockio.Volume) {
	for name, reserved := range map[string]int64{"seg/less": 4 << 20, "seg/more": 1} {
		w := create(t, v, name)
		blockio.Reserve(w, reserved)
		p := pattern(2*w.Unit()+100, 7)
		if _, err := w.WriteAt(p, 0); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context(), int64(len(p))); err != nil {
			t.Fatal(err)
		}
		wantObject(t, v, name, p)
	}
}

func testInvisible(t *testing.T, v blockio.Volume) {
	w := create(t, v, "seg/a")
	if _, err := w.WriteAt([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := v.Open(t.Context(), "seg/a")
	wantErr(t, "open", err, blockio.ErrNotFound)
	wantErr(t, "remove", v.Remove(t.Context(), "seg/a"), blockio.ErrNotFound)
	if got := names(t, v, "seg"); len(got) > 0 {
		t.Errorf("listed before its commit: %v", got)
	}
	if err := w.Commit(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	wantObject(t, v, "seg/a", []byte("x"))
}

func testExists(t *testing.T, v blockio.Volume) {
	put(t, v, "seg/a", []byte("first"))
	_, err := v.Create(t.Context(), "seg/a")
	wantErr(t, "create", err, blockio.ErrExists)
	put(t, v, "other/a", []byte("of another kind"))
	wantObject(t, v, "seg/a", []byte("first"))
	wantObject(t, v, "other/a", []byte("of another kind"))
}

func testCommitRace(t *testing.T, v blockio.Volume) {
	const racers = 4
	var writers []blockio.Writer
	for i := range racers {
		w := create(t, v, "seg/a")
		if _, err := w.WriteAt([]byte{byte(i)}, 0); err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
	}
	errs := make([]error, racers)
	var wg sync.WaitGroup
	for i, w := range writers {
		wg.Go(func() { errs[i] = w.Commit(t.Context(), 1) })
	}
	wg.Wait()
	winner := slices.Index(errs, nil)
	if winner < 0 {
		t.Fatalf("no commit won: %v", errs)
	}
	for i, err := range errs {
		if i != winner {
			wantErr(t, "second commit", err, blockio.ErrExists)
		}
	}
	wantObject(t, v, "seg/a", []byte{byte(winner)})
}

func testAbort(t *testing.T, v blockio.Volume) {
	w := create(t, v, "seg/a")
	if _, err := w.WriteAt([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := v.Open(t.Context(), "seg/a")
	wantErr(t, "open", err, blockio.ErrNotFound)

	put(t, v, "seg/b", []byte("x"))
	w = create(t, v, "seg/c")
	if err := w.Commit(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("abort after commit: %v", err)
	}
	wantObject(t, v, "seg/c", nil)
}

func testFinished(t *testing.T, v blockio.Volume) {
	w := create(t, v, "seg/a")
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), 0); err == nil {
		t.Error("commit after abort: no error")
	}
	w = create(t, v, "seg/a")
	if err := w.Commit(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), 0); err == nil {
		t.Error("second commit: no error")
	}
	if _, err := w.WriteAt([]byte("x"), 0); err == nil {
		t.Error("write after commit: no error")
	}
	wantObject(t, v, "seg/a", nil)
}

func testUnits(t *testing.T, v blockio.Volume) {
	w := create(t, v, "seg/a")
	unit := w.Unit()
	if unit <= 0 || unit%blockio.BlockSize != 0 {
		t.Fatalf("unit %d is no multiple of %d", unit, blockio.BlockSize)
	}
	for _, off := range []int64{1, int64(unit) / 2, -int64(unit)} {
		w := create(t, v, "seg/a")
		if _, err := w.WriteAt(make([]byte, unit), off); err == nil {
			t.Errorf("write at %d with unit %d: no error", off, unit)
		}
		if err := w.Commit(t.Context(), 0); err == nil {
			t.Error("commit after a failed write: no error")
		}
	}
	// An uneven length in the middle.
	if _, err := w.WriteAt(make([]byte, unit+1), 0); err != nil {
		t.Fatal(err)
	}
	_, err := w.WriteAt(make([]byte, unit-1), int64(2*unit))
	if err == nil {
		err = w.Commit(t.Context(), int64(2*unit))
	}
	if err == nil {
		t.Error("uneven write in the middle: no error")
	}
	_, err = v.Open(t.Context(), "seg/a")
	wantErr(t, "open", err, blockio.ErrNotFound)
}

func testIncomplete(t *testing.T, v blockio.Volume) {
	w := create(t, v, "seg/a")
	unit := int64(w.Unit())
	if _, err := w.WriteAt(make([]byte, unit), unit); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), 2*unit); err == nil {
		t.Error("commit of an object with a gap: no error")
	}
	_, err := v.Open(t.Context(), "seg/a")
	wantErr(t, "open", err, blockio.ErrNotFound)
}

func testCancelled(t *testing.T, v blockio.Volume) {
	put(t, v, "seg/a", []byte("x"))
	w := create(t, v, "seg/b")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.Create(ctx, "seg/c")
	wantErr(t, "create", err, context.Canceled)
	_, err = v.Open(ctx, "seg/a")
	wantErr(t, "open", err, context.Canceled)
	wantErr(t, "remove", v.Remove(ctx, "seg/a"), context.Canceled)
	wantErr(t, "commit", w.Commit(ctx, 0), context.Canceled)
	for _, err := range v.List(ctx, "seg") {
		wantErr(t, "list", err, context.Canceled)
	}
	if diff := cmp.Diff([]string{"seg/a 1"}, names(t, v, "seg")); diff != "" {
		t.Error(diff)
	}
}
