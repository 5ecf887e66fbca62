package scrub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest/leak"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/scrub"
	"github.com/blockmill/blockmill/blockio/storedir"
)

func TestMain(m *testing.M) { leak.Main(m) }

// node is a store in a directory, open.
type node struct {
	dir    *storedir.Dir
	store  *cas.Store
	shards []string
	images map[string]cas.ManifestID
}

// newNode makes a store with a few images.
func newNode(t *testing.T, data, parity int) *node {
	t.Helper()
	base := t.TempDir()
	n := &node{images: map[string]cas.ManifestID{}}
	for i := range data + parity {
		n.shards = append(n.shards, filepath.Join(base, "shard"+string(rune('a'+i))))
	}
	dir := filepath.Join(base, "S")
	err := storedir.Init(t.Context(), dir, storedir.Shape{Data: data, Parity: parity, Shards: n.shards, SharedDevices: true})
	if err != nil {
		t.Fatal(err)
	}
	n.open(t, dir)
	if err := cas.Init(t.Context(), n.options()); err != nil {
		t.Fatal(err)
	}
	if n.store, err = cas.Open(t.Context(), n.options()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(n.store.Close(), n.dir.Close(t.Context())); err != nil {
			t.Error(err)
		}
	})
	for i, name := range []string{"a", "b", "c"} {
		n.images[name] = n.put(t, name, uint64(i))
	}
	return n
}

func (n *node) options() cas.Options {
	return cas.Options{Volume: n.dir.Volume, Arena: blockio.NewArena(48 << 20), SegmentSize: 4 << 20, BufferSize: 2 << 20, Buffers: 4}
}

func (n *node) open(t *testing.T, dir string) {
	t.Helper()
	var err error
	if n.dir, err = storedir.Open(t.Context(), dir, storedir.Options{Fill: true}); err != nil {
		t.Fatal(err)
	}
}

// put imports an image of noise.
func (n *node) put(t *testing.T, name string, seed uint64) cas.ManifestID {
	t.Helper()
	ctx := t.Context()
	p := make([]byte, cas.WindowSize)
	_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(p)
	ses, err := n.store.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	w, err := ses.CreateImage(int64(len(p)))
	if err == nil {
		err = w.PutWindow(ctx, 0, p)
	}
	var info cas.ImageInfo
	if err == nil {
		info, err = w.Commit(ctx)
	}
	if err == nil {
		err = n.store.PutRecord(ctx, cas.Record{Kind: "image", ID: name, Manifests: []cas.ManifestID{info.ID}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

// segments are the paths of a shard's segments.
func (n *node) segments(t *testing.T, shard int) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(n.shards[shard], "segments", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("segments %v, error %v", paths, err)
	}
	return paths
}

// flip turns over a byte in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p[len(p)/2] ^= 4
	if err := os.WriteFile(path, p, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (n *node) run(t *testing.T, s *scrub.Scrubber, opts scrub.Options) scrub.Report {
	t.Helper()
	r, err := s.Run(t.Context(), func(context.Context) (*cas.Store, error) { return n.store, nil }, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range r.Problems {
		t.Errorf("problem: %v", problem)
	}
	return r
}

func TestCycles(t *testing.T) {
	n := newNode(t, 2, 1)
	s := scrub.New(n.dir)
	first := n.run(t, s, scrub.Options{})
	if first.Chunks == nil || first.Chunks.Chunks == 0 || first.Rows.Objects == 0 || first.Unrepaired() != 0 || first.Resumed {
		t.Errorf("the first scrub gives %+v", first)
	}
	for what, c := range map[string]struct {
		opts scrub.Options
		full bool
	}{
		"not due":  {scrub.Options{}, false},
		"due":      {scrub.Options{FullEvery: 1}, true},
		"wanted":   {scrub.Options{Full: scrub.FullNow}, true},
		"unwanted": {scrub.Options{Full: scrub.FullNever, FullEvery: 1}, false},
	} {
		again := n.run(t, s, c.opts)
		if (again.Chunks != nil) != c.full || again.Rows.Objects != first.Rows.Objects {
			t.Errorf("%s: %+v", what, again)
		}
	}
	// Another process knows of them.
	st := scrub.New(n.dir).State()
	if st.Rows.FinishedAt.IsZero() || st.Chunks.FinishedAt.IsZero() || st.Rows.Cursor != "" {
		t.Errorf("the state is %+v", st)
	}
}

// A scrub is stopped after each object of each phase: what it found is found
// again by the one that goes on, and everything is looked at in the end.
func TestStopped(t *testing.T) {
	t.Run("rows", func(t *testing.T) { testStopped(t, scrub.FullNever) })
	t.Run("rows and chunks", func(t *testing.T) { testStopped(t, scrub.FullWhenDue) })
}

func testStopped(t *testing.T, full scrub.Full) {
	n := newNode(t, 2, 0)
	for _, path := range n.segments(t, 1) {
		flip(t, path)
	}
	whole := n.run(t, scrub.New(n.dir), scrub.Options{Full: full})
	if whole.Unrepaired() < 3 || len(whole.Unreadable) < 3 {
		t.Fatalf("the damage is %+v", whole)
	}
	for stop := 1; ; stop++ {
		if err := os.Remove(filepath.Join(n.dir.Path(), "scrub.json")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		steps := 0
		_, err := scrub.New(n.dir).Run(ctx, func(context.Context) (*cas.Store, error) { return n.store, nil },
			scrub.Options{Full: full, Parallel: 1, Progress: func(scrub.Progress) {
				if steps++; steps == stop {
					cancel()
				}
			}})
		cancel()
		if err == nil && steps < stop {
			break
		}
		if !errors.Is(err, context.Canceled) && err != nil {
			t.Fatal(err)
		}
		rest := n.run(t, scrub.New(n.dir), scrub.Options{Full: full})
		if err == nil {
			continue // it was stopped by its last word
		}
		if !rest.Resumed || rest.Chunks == nil && full != scrub.FullNever {
			t.Errorf("stopped after %d steps, and began again", stop)
		}
		// What the rows told to the one that was stopped in the chunks, the
		// chunks tell again.
		if len(rest.Unreadable) != len(whole.Unreadable) {
			t.Errorf("stopped after %d steps: the rest is %d ranges of %d", stop, len(rest.Unreadable), len(whole.Unreadable))
		}
	}
}

func TestRepair(t *testing.T) {
	n := newNode(t, 2, 1)
	paths := n.segments(t, 0)
	flip(t, paths[0])
	if err := os.Remove(n.segments(t, 1)[1]); err != nil {
		t.Fatal(err)
	}
	s := scrub.New(n.dir)
	reg := prometheus.NewPedanticRegistry()
	if err := s.Register(reg); err != nil {
		t.Fatal(err)
	}
	looked := n.run(t, s, scrub.Options{Rate: 64 << 20})
	if looked.Unrepaired() == 0 || looked.Healed != nil || len(looked.Unreadable) != 0 {
		t.Errorf("a look gives %+v", looked)
	}
	mended := n.run(t, s, scrub.Options{Repair: true, Full: scrub.FullNow})
	if mended.Unrepaired() != 0 || mended.Healed == nil {
		t.Errorf("a repair gives %+v", mended)
	}
	if again := n.run(t, s, scrub.Options{Full: scrub.FullNow}); again.Rows.Found != 0 || again.Chunks.Found != 0 {
		t.Errorf("after the repair there is %+v", again)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("metric %s: %s", p.Metric, p.Text)
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n < 7 {
		t.Errorf("%d series, error %v", n, err)
	}
}

// TestMetrics has a damaged place that is repaired, and two that are left.
func TestMetrics(t *testing.T) {
	n := newNode(t, 2, 1)
	paths := n.segments(t, 0)
	flip(t, paths[0])
	s := scrub.New(n.dir)
	reg := prometheus.NewPedanticRegistry()
	if err := s.Register(reg); err != nil {
		t.Fatal(err)
	}
	begun := time.Now().Unix()
	n.run(t, s, scrub.Options{Repair: true, Full: scrub.FullNever})
	flip(t, paths[0])
	flip(t, n.segments(t, 1)[0])
	last := n.run(t, s, scrub.Options{Full: scrub.FullNow})
	if last.Unrepaired() != 2 || len(last.Unreadable) == 0 {
		t.Errorf("the last scrub gives %+v", last)
	}
	want := fmt.Sprintf(`
# HELP blockmill_scrub_found_total Damaged places that scrubs found.
# TYPE blockmill_scrub_found_total counter
blockmill_scrub_found_total %d
# HELP blockmill_scrub_repaired_total Damaged places that scrubs repaired.
# TYPE blockmill_scrub_repaired_total counter
blockmill_scrub_repaired_total 1
# HELP blockmill_scrub_running 1 while a scrub runs.
# TYPE blockmill_scrub_running gauge
blockmill_scrub_running 0
# HELP blockmill_scrub_unrepaired Damaged places that the last look at everything left.
# TYPE blockmill_scrub_unrepaired gauge
blockmill_scrub_unrepaired{cycle="chunks"} %d
blockmill_scrub_unrepaired{cycle="rows"} 2
# HELP blockmill_scrub_verified_chunks_total Chunks whose BLAKE3 scrubs checked.
# TYPE blockmill_scrub_verified_chunks_total counter
blockmill_scrub_verified_chunks_total %d
`, 1+last.Rows.Found+last.Chunks.Found, last.Chunks.Found, last.Chunks.Chunks)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "blockmill_scrub_found_total", "blockmill_scrub_repaired_total",
		"blockmill_scrub_running", "blockmill_scrub_unrepaired", "blockmill_scrub_verified_chunks_total"); err != nil {
		t.Error(err)
	}
	for _, c := range []scrub.Cycle{s.State().Rows, s.State().Chunks} {
		if at := c.FinishedAt.Unix(); at < begun || at > time.Now().Unix() {
			t.Errorf("the last scrub was at %v", c.FinishedAt)
		}
	}
}

// A process that is killed in a scrub has told of what was done: the next goes on
// there.
func TestKilled(t *testing.T) {
	n := newNode(t, 2, 1)
	s := scrub.New(n.dir)
	var left scrub.State
	n.run(t, s, scrub.Options{Parallel: 1, Full: scrub.FullNever, Progress: func(scrub.Progress) {
		if !left.Rows.Begun {
			left = scrub.ReadState(n.dir.Path()) // as it would be found now
		}
	}})
	if !left.Rows.Begun || left.Rows.Cursor == "" {
		t.Errorf("after the first object there is on disk: %+v", left)
	}
}

func TestOneAtATime(t *testing.T) {
	n := newNode(t, 1, 0)
	s := scrub.New(n.dir)
	open := func(context.Context) (*cas.Store, error) { return n.store, nil }
	var second error
	tried := false
	n.run(t, s, scrub.Options{Progress: func(scrub.Progress) {
		if _, running := s.Running(); !running {
			t.Error("a scrub runs and does not say so")
		}
		if !tried {
			tried = true
			_, second = s.Run(t.Context(), open, scrub.Options{})
		}
	}})
	if !errors.Is(second, scrub.ErrRunning) {
		t.Errorf("a second scrub gives %v", second)
	}
	if _, running := s.Running(); running {
		t.Error("a scrub that ended says that it runs")
	}
}

// A store that cannot be opened is a problem; its shards are scrubbed all the
// same.
func TestStoreBroken(t *testing.T) {
	n := newNode(t, 1, 0)
	broken := errors.New("broken")
	r, err := scrub.New(n.dir).Run(t.Context(), func(context.Context) (*cas.Store, error) { return nil, broken }, scrub.Options{})
	if err != nil || len(r.Problems) != 1 || !errors.Is(r.Problems[0], broken) || r.Rows.Objects == 0 {
		t.Errorf("report %+v, error %v", r, err)
	}
}
