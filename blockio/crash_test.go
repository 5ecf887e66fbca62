package blockio_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

// promise is what a workload was told of one object.
type promise uint8

const (
	unknown promise = iota // an operation is under way: whole or absent
	present
	absent
)

// workload makes and removes objects and keeps what it was promised.
type workload struct {
	contents map[string][]byte

	mu       sync.Mutex // a journal works beside the workload
	promises map[string]promise
}

func newWorkload() *workload {
	w := &workload{promises: map[string]promise{}, contents: map[string][]byte{}}
	for i, name := range []string{"seg/a", "seg/b", "man/a", "rec/empty"} {
		w.contents[name] = randomBytes((3-i)*2*blockio.BlockSize, uint64(i))
		w.promises[name] = absent
	}
	return w
}

// run does all operations, or stops at the first error.
func (w *workload) run(ctx context.Context, v blockio.Volume) error {
	for _, step := range []struct {
		name   string
		remove bool
	}{
		{"seg/a", false}, {"man/a", false}, {"seg/b", false}, {"seg/a", true}, {"rec/empty", false}, {"seg/a", false},
	} {
		w.promise(step.name, unknown)
		after := present
		var err error
		if step.remove {
			after, err = absent, v.Remove(ctx, step.name)
		} else {
			err = w.put(ctx, v, step.name)
		}
		if err != nil {
			return err
		}
		w.promise(step.name, after)
	}
	return nil
}

func (w *workload) promise(name string, p promise) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.promises[name] = p
}

// put writes an object a block at a time.
func (w *workload) put(ctx context.Context, v blockio.Volume, name string) error {
	out, err := v.Create(ctx, name)
	if err != nil {
		return err
	}
	p := w.contents[name]
	for off := 0; off < len(p) && err == nil; off += out.Unit() {
		_, err = out.WriteAt(p[off:min(off+out.Unit(), len(p))], int64(off))
	}
	if err == nil {
		err = out.Commit(ctx, int64(len(p)))
	}
	if err != nil {
		return errors.Join(err, out.Abort())
	}
	return nil
}

// check compares a volume with the promises. The caller holds mu when others use
// the workload.
func (w *workload) check(ctx context.Context, v blockio.Volume) error {
	for name, p := range w.promises {
		got, err := blockio.ReadObject(ctx, v, name, 1<<20)
		switch {
		case errors.Is(err, blockio.ErrNotFound):
			if p == present {
				return fmt.Errorf("%s was acknowledged and is lost", name)
			}
		case err != nil:
			return err
		case p == absent:
			return fmt.Errorf("%s is there and should not be", name)
		case string(got) != string(w.contents[name]):
			return fmt.Errorf("%s is torn: %d bytes of %d", name, len(got), len(w.contents[name]))
		}
	}
	return nil
}

// crashEverywhere runs the workload, crashes it before every change and after
// the last, and gives the first broken promise.
func crashEverywhere(t *testing.T, v *blockiotest.MemVolume, drop func(blockiotest.Op) bool) (points int, broken error) {
	t.Helper()
	v.DropSyncs(drop)
	w := newWorkload()
	crash := func(op blockiotest.Op) {
		w.mu.Lock()
		defer w.mu.Unlock()
		points++
		for c, clone := range v.CrashClones() {
			if err := w.check(t.Context(), clone); err != nil && broken == nil {
				broken = fmt.Errorf("crash before %v (%v): %w", op, c, err)
			}
		}
	}
	v.OnChange(crash)
	if err := w.run(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	crash(blockiotest.Op{})
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	crash(blockiotest.Op{})
	if n := v.OpenFiles(); n != 0 {
		t.Errorf("%d files left open", n)
	}
	return points, broken
}

// memVolumes are volumes in memory without a journal and with one.
var memVolumes = map[string]func() *blockiotest.MemVolume{
	"plain":     blockiotest.NewMemVolume,
	"journaled": func() *blockiotest.MemVolume { return blockiotest.NewJournaledMemVolume(blockio.LeastJournal) },
}

// eachMemVolume runs a test on both.
func eachMemVolume(t *testing.T, test func(t *testing.T, make func() *blockiotest.MemVolume)) {
	t.Helper()
	t.Parallel()
	for name, newVolume := range memVolumes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newVolume)
		})
	}
}

func TestCrash(t *testing.T) {
	eachMemVolume(t, func(t *testing.T, newVolume func() *blockiotest.MemVolume) {
		points, broken := crashEverywhere(t, newVolume(), nil)
		if broken != nil {
			t.Error(broken)
		}
		if points < 20 {
			t.Errorf("only %d points", points)
		}
	})
}

// TestCrashWithoutSync takes each sync of a commit away in turn, to show that
// it is needed and that TestCrash would miss it.
func TestCrashWithoutSync(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(blockiotest.Op) bool{
		"file": func(op blockiotest.Op) bool { return op.Kind == blockiotest.OpSync },
		"root": func(op blockiotest.Op) bool { return op.Kind == blockiotest.OpSyncDir && op.Name == "." },
		"kind": func(op blockiotest.Op) bool { return op.Kind == blockiotest.OpSyncDir && op.Name == "seg" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, broken := crashEverywhere(t, blockiotest.NewMemVolume(), drop); broken == nil {
				t.Error("no promise was broken")
			} else {
				t.Log(broken)
			}
		})
	}
}

// TestKillThenCrash kills the process before every change, opens the volume
// anew and cuts the power then: what the second process saw must stay.
func TestKillThenCrash(t *testing.T) { eachMemVolume(t, testKillThenCrash) }

func testKillThenCrash(t *testing.T, newVolume func() *blockiotest.MemVolume) {
	ctx := t.Context()
	total := countChanges(t, newVolume)
	for n := 1; n <= total; n++ {
		v := newVolume()
		w := newWorkload()
		// From the nth change on nothing works: the process is dead.
		v.Inject(blockiotest.Fault{N: n, Sticky: true})
		err := errors.Join(w.run(ctx, v), v.Close())
		if v.Changes() < n {
			continue // a journal may need fewer
		}
		if !errors.Is(err, blockiotest.ErrInjected) {
			t.Fatalf("change %d: %v", n, err)
		}
		second := v.Reopen()
		if err := w.check(ctx, second); err != nil {
			t.Errorf("killed before change %d: %v", n, err)
		}
		for name := range w.promises {
			w.promises[name] = absent
			if _, err := readObject(t, second, name); err == nil {
				w.promises[name] = present
			}
		}
		for c, clone := range second.CrashClones() {
			if err := w.check(ctx, clone); err != nil {
				t.Errorf("killed before change %d, then %v: %v", n, c, err)
			}
		}
	}
}

// countChanges counts the changes that a whole workload makes.
func countChanges(t *testing.T, newVolume func() *blockiotest.MemVolume) int {
	t.Helper()
	v := newVolume()
	before := v.Changes()
	if err := errors.Join(newWorkload().run(t.Context(), v), v.Close()); err != nil {
		t.Fatal(err)
	}
	return v.Changes() - before
}

// TestFaultEverywhere lets each change fail once: the error arrives, nothing
// leaks, promises hold, now and after a crash.
func TestFaultEverywhere(t *testing.T) { eachMemVolume(t, testFaultEverywhere) }

func testFaultEverywhere(t *testing.T, newVolume func() *blockiotest.MemVolume) {
	ctx := t.Context()
	total := countChanges(t, newVolume)
	for n := 1; n <= total; n++ {
		for _, kind := range []blockiotest.FaultKind{blockiotest.FaultError, blockiotest.FaultShort} {
			v := newVolume()
			w := newWorkload()
			v.Inject(blockiotest.Fault{N: n, Kind: kind})
			err := errors.Join(w.run(ctx, v), v.Close())
			if v.Changes() >= n && !errors.Is(err, blockiotest.ErrInjected) { // a journal may need fewer
				t.Errorf("change %d: the error is lost: %v", n, err)
			}
			if open := v.OpenFiles(); open != 0 {
				t.Errorf("change %d: %d files left open", n, open)
			}
			if err := w.check(ctx, v); err != nil && !errors.Is(err, blockio.ErrPoisoned) {
				t.Errorf("change %d: %v", n, err)
			}
			for c, clone := range v.CrashClones() {
				if err := w.check(ctx, clone); err != nil {
					t.Errorf("change %d, %v: %v", n, c, err)
				}
			}
		}
	}
}
