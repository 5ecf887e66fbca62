package cas_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// act is one operation of a workload.
type act byte

const (
	importNew  act = 'i' // an image of new content
	importSame act = 'd' // an image that is mostly there
	remove     act = 'r' // the oldest image
	collect    act = 'g'
)

var acts = []act{importNew, importSame, remove, collect}

// workloads yields every sequence of up to n operations.
func workloads(n int) []string {
	all, last := []string(nil), []string{""}
	for range n {
		var next []string
		for _, w := range last {
			for _, a := range acts {
				next = append(next, w+string(a))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

// model is what a workload has been told so far.
type model struct {
	acked map[string][]byte // images whose import was acknowledged
	maybe map[string][]byte // those that an operation under way adds or removes
	order []string
	next  uint64
}

func newModel() *model { return &model{acked: map[string][]byte{}, maybe: map[string][]byte{}} }

func (m *model) clone() *model {
	return &model{acked: maps.Clone(m.acked), maybe: maps.Clone(m.maybe), order: slices.Clone(m.order), next: m.next}
}

const crashImage = 300_000

// do runs one operation. Before it begins, begin sees what it may change.
func (m *model) do(ctx context.Context, s *cas.Store, a act, begin func()) error {
	m.next++
	name := fmt.Sprintf("n%d", m.next)
	settled := maps.Clone(m.maybe) // what failed before stays open
	switch a {
	case importNew, importSame:
		p := guest(crashImage, m.next)
		if a == importSame {
			p = guest(crashImage, 0) // shared by all of these, but for a piece
			if len(m.order) > 0 {
				p = slices.Clone(m.acked[m.order[0]])
			}
			copy(p[100_000:], guest(20_000, 1000+m.next))
		}
		m.maybe[name] = p
		begin()
		if _, err := put(ctx, s, name, p); err != nil {
			return err
		}
		m.acked[name] = p
		m.order = append(m.order, name)
	case remove:
		if len(m.order) == 0 {
			begin()
			return nil
		}
		name := m.order[0]
		m.maybe[name] = m.acked[name]
		delete(m.acked, name)
		m.order = m.order[1:]
		begin()
		if err := s.RemoveRecord(ctx, "image", name); err != nil {
			return err
		}
	case collect:
		begin()
		if _, err := s.GC(ctx, cas.GCOptions{Sparse: 0.95}); err != nil {
			return err
		}
	}
	m.maybe = settled
	return nil
}

// verify opens a store and compares it with the model: acknowledged images are
// whole, those under way are whole or absent, nothing else is there. Then it
// collects garbage and looks again.
func (m *model) verify(ctx context.Context, opts cas.Options) (err error) {
	s, err := cas.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := s.Close(); err == nil {
			err = cerr
		}
	}()
	if err := m.compare(ctx, s); err != nil {
		return err
	}
	// What nobody was told of must be in order too.
	if r, err := s.Check(ctx); err != nil || r.Found > 0 {
		return fmt.Errorf("check: %v: %w", r.Problems, cmp.Or(err, cas.ErrCorrupt))
	}
	if _, err := s.GC(ctx, cas.GCOptions{Sparse: 0.95}); err != nil {
		return err
	}
	if err := m.compare(ctx, s); err != nil {
		return fmt.Errorf("after gc: %w", err)
	}
	r, err := s.Check(ctx)
	if err == nil && r.Found > 0 {
		err = fmt.Errorf("check: %v", r.Problems)
	}
	return err
}

func (m *model) compare(ctx context.Context, s *cas.Store) error {
	found := map[string]bool{}
	for r, err := range s.Records(ctx, "image") {
		if err != nil {
			return err
		}
		found[r.ID] = true
		want, ok := m.acked[r.ID]
		if !ok {
			if want, ok = m.maybe[r.ID]; !ok {
				return fmt.Errorf("image %s should not be there", r.ID)
			}
		}
		got, err := get(ctx, s, r.Manifests[0])
		if err != nil {
			return fmt.Errorf("image %s: %w", r.ID, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("image %s has other bytes", r.ID)
		}
	}
	for name := range m.acked {
		if !found[name] {
			return fmt.Errorf("image %s is gone", name)
		}
	}
	return nil
}

// crashOptions are options that make crash tests quick.
func crashOptions(v *blockiotest.MemVolume, indexDir string) cas.Options {
	opts := testOptions(v, indexDir)
	opts.Buffers, opts.ReadBuffers = 4, 1
	return opts
}

// crashRun runs a workload, crashes its last operation before every call that
// may make something durable, and returns what is wrong afterwards. Every is how
// many of a point's crashes are left out between two that are looked at.
type crashRun struct {
	workload string
	every    int
	indexDir string // of the run; also looked at when it is set
	drop     func(blockiotest.Op) bool
	journal  bool // of the volume
}

type crashPoint struct {
	what  string
	vol   *blockiotest.MemVolume
	model *model
	index string
}

func (c crashRun) run(t *testing.T) (problems []string) {
	ctx := t.Context()
	v := blockiotest.NewMemVolume()
	if c.journal {
		v = blockiotest.NewJournaledMemVolume(blockio.LeastJournal)
	}
	opts := crashOptions(v, c.indexDir)
	if err := cas.Init(ctx, opts); err != nil {
		t.Fatal(err)
	}
	s, err := cas.Open(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	if c.drop != nil {
		v.DropSyncs(c.drop)
	}
	var mu sync.Mutex
	var points []crashPoint
	seen := 0
	m := newModel()
	for i, a := range []byte(c.workload) {
		begin := func() {}
		if i == len(c.workload)-1 {
			begin = func() {
				at := m.clone()
				v.OnChange(func(op blockiotest.Op) {
					if op.Kind&(blockiotest.OpSync|blockiotest.OpSyncAll|blockiotest.OpSyncDir|blockiotest.OpRename|blockiotest.OpRemove) == 0 {
						return
					}
					mu.Lock()
					defer mu.Unlock()
					index := ""
					if c.indexDir != "" {
						index = t.TempDir()
						copyTree(t, index, c.indexDir)
					}
					for crash, clone := range v.CrashClones() {
						if seen++; seen%c.every == 0 {
							points = append(points, crashPoint{fmt.Sprintf("%s, before %v: %v", c.workload, op, crash), clone, at, index})
						}
					}
				})
			}
		}
		if err := m.do(ctx, s, act(a), begin); err != nil {
			t.Fatalf("%s: %v", c.workload, err)
		}
	}
	v.OnChange(nil)
	// All is acknowledged now: a crash loses nothing.
	for crash, clone := range v.CrashClones() {
		mu.Lock() // a journal may still be at work
		points = append(points, crashPoint{fmt.Sprintf("%s, at the end: %v", c.workload, crash), clone, m, c.indexDir})
		mu.Unlock()
	}
	if err := errors.Join(s.Close(), v.Close()); err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		dir := ""
		if p.index != "" {
			dir = t.TempDir()
			copyTree(t, dir, p.index)
		}
		if err := p.model.verify(ctx, crashOptions(p.vol, dir)); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", p.what, err))
		}
	}
	return problems
}

func copyTree(t *testing.T, dst, src string) {
	t.Helper()
	err := filepath.WalkDir(src, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Name() == "lock" || d.Name() == "LOCK" {
			return err
		}
		to := filepath.Join(dst, strings.TrimPrefix(path, src))
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		p, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // the index renames and removes its files all the time
		}
		if err != nil {
			return err
		}
		return os.WriteFile(to, p, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCrash crashes every workload of up to three operations in its last one.
// The index is lost with every crash.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, w := range workloads(3) {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			skip := every(2)
			if len(w) > 2 {
				skip = every(23)
			}
			for _, p := range (crashRun{workload: w, every: skip}).run(t) {
				t.Error(p)
			}
		})
	}
}

// TestCrashWithJournal is TestCrash on a volume with a journal so short that it
// turns all the time.
func TestCrashWithJournal(t *testing.T) {
	t.Parallel()
	for i, w := range workloads(3) {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			skip := every(5)
			if len(w) > 2 {
				skip = every(97 + 2*(i%4))
			}
			for _, p := range (crashRun{workload: w, every: skip, journal: true}).run(t) {
				t.Error(p)
			}
		})
	}
}

// TestCrashWithIndex is TestCrash with an index that is as it was at the time of
// the crash: behind the volume, or ahead of what is left of it.
func TestCrashWithIndex(t *testing.T) {
	t.Parallel()
	for i, w := range workloads(2) {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			for _, p := range (crashRun{workload: w, every: every(23 + 2*(i%4)), indexDir: t.TempDir()}).run(t) {
				t.Error(p)
			}
		})
	}
}

// TestCrashCatches shows that the crash tests see a sync that is missing.
func TestCrashCatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		journal bool
		drop    func(blockiotest.Op) bool
	}{
		{"file", false, func(op blockiotest.Op) bool { return op.Kind == blockiotest.OpSync }},
		{"segment names", false, func(op blockiotest.Op) bool { return op.Name == "segments" }},
		{"manifest names", false, func(op blockiotest.Op) bool { return op.Name == "manifests" }},
		{"record names", false, func(op blockiotest.Op) bool { return op.Name == "records" }},
		{"journal", true, func(op blockiotest.Op) bool { return op.Kind == blockiotest.OpSync && op.Name == "tmp/journal" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			problems := 0
			for _, w := range []string{"i", "ir", "ig", "dd"} {
				dropped := false
				run := crashRun{workload: w, every: 1, journal: c.journal, drop: func(op blockiotest.Op) bool {
					hit := c.drop(op)
					dropped = dropped || hit
					return hit
				}}
				problems += len(run.run(t))
				if !dropped {
					t.Fatalf("workload %s has no such sync", w)
				}
			}
			if problems == 0 {
				t.Error("no crash test noticed the missing syncs")
			}
		})
	}
}
