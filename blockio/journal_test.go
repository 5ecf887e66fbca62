package blockio_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

// journaled starts a small journal of a volume, which ends with the test.
func journaled(t *testing.T, v *blockio.DirVolume) *blockio.DirVolume {
	t.Helper()
	if err := v.StartJournal(blockio.LeastJournal); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func TestJournalVolume(t *testing.T) {
	t.Parallel()
	blockiotest.TestVolume(t, func(t *testing.T) blockio.Volume { return journaled(t, openDirVolume(t, t.TempDir())) })
}

func TestJournalMemVolume(t *testing.T) {
	t.Parallel()
	blockiotest.TestVolume(t, func(t *testing.T) blockio.Volume {
		v := blockiotest.NewMemVolume()
		journaled(t, v.DirVolume)
		return v
	})
}

// journalModel is what a volume may hold after a crash: of each object one of
// these contents, "" standing for none.
type journalModel struct {
	mu      sync.Mutex
	allowed map[string][]string // guarded by mu
}

func (m *journalModel) allow(name string, contents ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.allowed[name] = contents
}

func (m *journalModel) now(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.allowed[name][0]
}

// check compares a volume with the promises. The caller holds mu.
func (m *journalModel) check(t *testing.T, v blockio.Volume) error {
	for name, allowed := range m.allowed {
		got, err := readObject(t, v, name)
		if err != nil && !errors.Is(err, blockio.ErrNotFound) {
			return err
		}
		if !slices.Contains(allowed, got) {
			return fmt.Errorf("%s has %d bytes that it should not have", name, len(got))
		}
	}
	return nil
}

// change changes one object at random: it is made, replaced or removed, small or
// large.
func (m *journalModel) change(ctx context.Context, v *blockiotest.MemVolume, rng *rand.Rand) error {
	name := fmt.Sprintf("rec/%d", rng.IntN(4))
	before := m.now(name)
	if before != "" && rng.IntN(3) == 0 {
		m.allow(name, before, "")
		if err := v.Remove(ctx, name); err != nil {
			return err
		}
		m.allow(name, "")
		return nil
	}
	p := make([]byte, 1+rng.IntN(3*blockio.BlockSize))
	if rng.IntN(4) == 0 {
		p = make([]byte, 70<<10)
	}
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	m.allow(name, before, string(p))
	w, err := v.Create(ctx, name)
	if before != "" {
		if !errors.Is(err, blockio.ErrExists) {
			return fmt.Errorf("create what is there: %w", err)
		}
		w, err = v.Replace(ctx, name)
	}
	if err != nil {
		return err
	}
	if _, err = w.WriteAt(p, 0); err == nil {
		err = w.Commit(ctx, int64(len(p)))
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	m.allow(name, string(p))
	return nil
}

// crashJournal makes random changes, crashes now and then before one, and gives
// the first broken promise.
func crashJournal(t *testing.T, seed uint64, changes int, drop func(blockiotest.Op) bool) (broken error) {
	t.Helper()
	v := blockiotest.NewJournaledMemVolume(blockio.LeastJournal)
	v.DropSyncs(drop)
	m := &journalModel{allowed: map[string][]string{}}
	for i := range 4 {
		m.allow(fmt.Sprintf("rec/%d", i), "")
	}
	when := rand.New(rand.NewPCG(seed, 1))
	crash := func(op blockiotest.Op) {
		m.mu.Lock() // the journal works beside the changes
		defer m.mu.Unlock()
		if broken != nil || when.IntN(8) != 0 {
			return
		}
		for c, clone := range v.CrashClones() {
			if err := m.check(t, clone); err != nil && broken == nil {
				broken = fmt.Errorf("crash before %v (%v): %w", op, c, err)
			}
		}
	}
	v.OnChange(crash)
	rng := rand.New(rand.NewPCG(seed, 2))
	for range changes {
		if err := m.change(t.Context(), v, rng); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(t, v); err != nil {
		t.Error(err)
	}
	if n := v.OpenFiles(); n != 0 {
		t.Errorf("%d files left open", n)
	}
	if err := m.check(t, v.CrashClone(blockiotest.Crash{})); err != nil && broken == nil {
		broken = fmt.Errorf("crash after the end: %w", err)
	}
	return broken
}

// TestJournalCrash turns the journal's halves many times over.
func TestJournalCrash(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			if broken := crashJournal(t, seed, 120, nil); broken != nil {
				t.Error(broken)
			}
		})
	}
}

// TestJournalCrashWithoutSync takes each sync of the journal away in turn, to show
// that it is needed and that TestJournalCrash would miss it.
func TestJournalCrashWithoutSync(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(blockiotest.Op) bool{
		"entries":     func(op blockiotest.Op) bool { return op.Kind == blockiotest.OpSync && op.Name == "tmp/journal" },
		"file system": func(op blockiotest.Op) bool { return op.Kind == blockiotest.OpSyncAll },
		"large":       func(op blockiotest.Op) bool { return op.Kind == blockiotest.OpSync && op.Name != "tmp/journal" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var broken error
			for seed := uint64(0); seed < 8 && broken == nil; seed++ {
				broken = crashJournal(t, seed, 120, drop)
			}
			if broken == nil {
				t.Error("no promise was broken")
			} else {
				t.Log(broken)
			}
		})
	}
}

// TestJournalReplayIsDurable kills a process, opens the volume, and cuts the power
// while or after that does what the journal says.
func TestJournalReplayIsDurable(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewJournaledMemVolume(blockio.LeastJournal)
	for i := range 5 {
		if err := blockio.WriteObject(t.Context(), v, fmt.Sprintf("rec/%d", i), []byte("kept")); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Remove(t.Context(), "rec/4"); err != nil {
		t.Fatal(err)
	}
	second := v.Reopen()
	for c, clone := range second.CrashClones() {
		for i := range 4 {
			if got, err := readObject(t, clone, fmt.Sprintf("rec/%d", i)); got != "kept" {
				t.Errorf("%v: object %d: %q, %v", c, i, got, err)
			}
		}
		if _, err := readObject(t, clone, "rec/4"); !errors.Is(err, blockio.ErrNotFound) {
			t.Errorf("%v: what was removed: %v", c, err)
		}
	}
}

// Changes at one time share syncs.
func TestJournalShares(t *testing.T) {
	t.Parallel()
	const changes = 200
	v := blockiotest.NewJournaledMemVolume(0)
	before := v.Count(blockiotest.OpSync)
	start := make(chan struct{})
	v.OnChange(func(op blockiotest.Op) {
		if op.Kind == blockiotest.OpSync {
			<-start
		}
	})
	var wg sync.WaitGroup
	for i := range changes {
		wg.Go(func() {
			if err := blockio.WriteObject(t.Context(), v, fmt.Sprintf("rec/%d", i), []byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	for v.Count(blockiotest.OpWrite) < 2*changes { // of files and of entries
		select {
		case <-t.Context().Done():
			t.Fatal("the changes did not begin")
		default:
		}
	}
	close(start)
	wg.Wait()
	if n := v.Count(blockiotest.OpSync) - before; n > 3 {
		t.Errorf("%d syncs for %d changes", n, changes)
	}
	if n := v.Count(blockiotest.OpSyncAll); n != 0 {
		t.Errorf("the file system was synced %d times for few changes", n)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

// A volume that is closed has no journal, and one that was not has what its journal
// promises when it is opened.
func TestJournalFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openDirVolume(t, dir)
	if err := v.StartJournal(blockio.LeastJournal); err != nil {
		t.Fatal(err)
	}
	if err := blockio.WriteObject(t.Context(), v, "rec/a", []byte("first")); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if found := files(t, dir); !slices.Equal(found, []string{"rec/a"}) {
		t.Errorf("after the end there are %v", found)
	}

	// As after a crash that lost the object.
	if err := os.RemoveAll(filepath.Join(dir, "rec")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journal"), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readObject(t, openDirVolume(t, dir), "rec/a"); got != "first" {
		t.Errorf("after a crash the object has %q: %v", got, err)
	}
	if found := files(t, dir); !slices.Equal(found, []string{"rec/a"}) {
		t.Errorf("after the next open there are %v", found)
	}
}

// A volume tells what it found in a journal, and nothing when there was none.
func TestJournalReplayed(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewJournaledMemVolume(blockio.LeastJournal)
	if r, ok := v.Replayed(); ok {
		t.Errorf("a new volume has replayed %+v", r)
	}
	for _, name := range []string{"rec/a", "rec/b", "rec/gone"} {
		if err := blockio.WriteObject(t.Context(), v, name, make([]byte, 5000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Remove(t.Context(), "rec/gone"); err != nil {
		t.Fatal(err)
	}
	second := v.Reopen()
	r, ok := second.Replayed()
	if want := (blockio.Replay{Entries: 4, Objects: 2, Removals: 1, Bytes: 10_000, Took: r.Took}); !ok || r != want || r.Took <= 0 {
		t.Errorf("replayed %+v, want %+v", r, want)
	}
	if r, ok := second.Reopen().Replayed(); ok {
		t.Errorf("a journal that was replayed is so again: %+v", r)
	}
}

// A name cannot be given while its object is the last that a half of the journal
// waits for, and the other half is full as well: the removal of the object has room
// again, and nothing waits for ever.
func TestJournalRenameFailsInFullJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which ends what waits for ever
		v := blockiotest.NewJournaledMemVolume(blockio.LeastJournal)
		v.Inject(blockiotest.Fault{Ops: blockiotest.OpRename, N: 1, Match: func(op blockiotest.Op) bool { return op.Name == "rec/fails" }})
		var filled atomic.Bool
		v.OnChange(func(op blockiotest.Op) {
			if op.Kind != blockiotest.OpRename || filled.Swap(true) {
				return
			}
			// Its entry is there already: others take what is left of both halves.
			for i := range blockio.LeastJournal/blockio.BlockSize - 1 {
				if err := blockio.WriteObject(t.Context(), v, fmt.Sprintf("rec/%d", i), []byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
		if err := blockio.WriteObject(t.Context(), v, "rec/fails", []byte("x")); !errors.Is(err, blockiotest.ErrInjected) {
			t.Errorf("an object whose name cannot be given: %v", err)
		}
		if err := blockio.WriteObject(t.Context(), v, "rec/next", []byte("x")); err != nil {
			t.Error(err)
		}
		if err := v.Close(); err != nil {
			t.Error(err)
		}
		if n := v.Count(blockiotest.OpSyncAll); n < 2 {
			t.Errorf("the file system was synced %d times: the journal was not full", n)
		}
	})
}

// Names that cannot be given, of objects that the journal has: each is an error,
// and none of them comes back.
func TestJournalRenamesFail(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewJournaledMemVolume(blockio.LeastJournal)
	v.Inject(blockiotest.Fault{Ops: blockiotest.OpRename, N: 1, Sticky: true})
	for i := range 60 { // several halves
		if err := blockio.WriteObject(t.Context(), v, fmt.Sprintf("rec/%d", i), make([]byte, 9000)); !errors.Is(err, blockiotest.ErrInjected) {
			t.Fatalf("object %d: %v", i, err)
		}
	}
	for c, clone := range v.CrashClones() {
		for e, err := range clone.List(t.Context(), "rec") {
			t.Errorf("%v: %v is there: %v", c, e, err)
		}
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

// When an entry cannot be made durable, nobody knows of its object until the
// volume is opened anew.
func TestJournalDoubts(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewJournaledMemVolume(blockio.LeastJournal)
	if err := blockio.WriteObject(t.Context(), v, "rec/a", []byte("a")); err != nil {
		t.Fatal(err)
	}
	v.Inject(blockiotest.Fault{Ops: blockiotest.OpSync, N: 1})
	if err := blockio.WriteObject(t.Context(), v, "rec/b", []byte("b")); !errors.Is(err, blockiotest.ErrInjected) {
		t.Fatalf("a change whose sync failed: %v", err)
	}
	if _, err := readObject(t, v, "rec/b"); !errors.Is(err, blockio.ErrPoisoned) {
		t.Errorf("the object that may be there: %v", err)
	}
	if got, err := readObject(t, v, "rec/a"); got != "a" {
		t.Errorf("an object that is there: %q, %v", got, err)
	}
	if err := blockio.WriteObject(t.Context(), v, "rec/c", nil); !errors.Is(err, blockio.ErrPoisoned) {
		t.Errorf("a later change: %v", err)
	}
	if err := v.Close(); !errors.Is(err, blockio.ErrPoisoned) {
		t.Errorf("close: %v", err)
	}
	if got, err := readObject(t, v.Reopen(), "rec/a"); got != "a" {
		t.Errorf("after the next open: %q, %v", got, err)
	}
}

// goldenJournal is a journal file as FORMAT.md describes it, made by hand but for
// its checksums.
func goldenJournal() []byte {
	const half = blockio.LeastJournal / 2
	p := make([]byte, blockio.LeastJournal)
	entry := func(off int, kind uint32, generation, sequence uint64, name, data string) {
		e := p[off:]
		copy(e, "bmJENT\n\x00")
		le := binary.LittleEndian
		le.PutUint32(e[8:], 1)
		le.PutUint32(e[12:], kind)
		le.PutUint64(e[16:], generation)
		le.PutUint64(e[24:], sequence)
		le.PutUint32(e[32:], uint32(len(name)))
		le.PutUint32(e[36:], uint32(len(data)))
		copy(e[48:], name+data)
		table := crc32.MakeTable(crc32.Castagnoli)
		le.PutUint32(e[40:], crc32.Update(crc32.Checksum(e[:40], table), table, e[48:48+len(name)+len(data)]))
	}
	entry(half, 1, 5, 5, "rec/a", "old")
	entry(half+4096, 1, 5, 6, "rec/b", strings.Repeat("b", 5000))
	entry(half+3*4096, 2, 5, 7, "rec/c", "")
	entry(half+4*4096, 1, 5, 8, "rec/d", "in the way")
	entry(half+5*4096, 3, 5, 9, "rec/d", "")
	entry(0, 1, 10, 10, "rec/a", "new")
	entry(4096, 1, 5, 11, "rec/e", "of another generation")
	entry(half+6*4096, 1, 5, 11, "rec/f", "not the next")
	return p
}

// TestJournalFormat reads a journal that was not written by this package.
func TestJournalFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"rec/c": "to be removed", "rec/d": "to be kept", "journal": string(goldenJournal())} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	v := openDirVolume(t, dir)
	for name, want := range map[string]string{
		"rec/a": "new", "rec/b": strings.Repeat("b", 5000), "rec/c": "", "rec/d": "to be kept", "rec/e": "", "rec/f": "",
	} {
		if got, _ := readObject(t, v, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// FuzzJournal reads any journal: what it gives has valid names and small data.
func FuzzJournal(f *testing.F) {
	golden := goldenJournal()
	f.Add(golden[:16<<10])
	f.Add(golden[blockio.LeastJournal/2:][:32<<10])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		entries, err := blockio.ReadJournal(p)
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range entries {
			if _, err := blockio.CheckName(name); err != nil || len(data) > len(p) {
				t.Errorf("an entry of %q with %d bytes: %v", name, len(data), err)
			}
		}
	})
}
