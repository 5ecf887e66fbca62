package blockiotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
)

// TestVolume checks that a Volume keeps its contract. newVolume makes an empty
// one, and cleans up after itself.
func TestVolume(t *testing.T, newVolume func(t *testing.T) blockio.Volume) {
	for _, c := range []struct {
		name string
		test func(*testing.T, blockio.Volume)
	}{
		{"RoundTrip", testRoundTrip},
		{"Empty", testEmpty},
		{"Large", testLarge},
		{"ConcurrentWrites", testConcurrentWrites},
		{"InvisibleUntilCommit", testInvisible},
		{"NotFound", testNotFound},
		{"Exists", testExists},
		{"CommitRace", testCommitRace},
		{"Abort", testAbort},
		{"Finished", testFinished},
		{"Units", testUnits},
		{"Incomplete", testIncomplete},
		{"Names", testNames},
		{"List", testList},
		{"ListStops", testListStops},
		{"OpenAfterRemove", testOpenAfterRemove},
		{"ReadAtEnd", testReadAtEnd},
		{"Cancelled", testCancelled},
		{"SmallObjects", testSmallObjects},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, newVolume(t))
		})
	}
}

// pattern is n bytes that differ from block to block.
func pattern(n int, seed uint64) []byte {
	p := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = src.Read(p)
	return p
}

func put(t *testing.T, v blockio.Volume, name string, p []byte) {
	t.Helper()
	if err := blockio.WriteObject(t.Context(), v, name, p); err != nil {
		t.Fatal(err)
	}
}

func wantObject(t *testing.T, v blockio.Volume, name string, want []byte) {
	t.Helper()
	got, err := blockio.ReadObject(t.Context(), v, name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes differ from the %d that were written", name, len(got), len(want))
	}
}

func wantErr(t *testing.T, act string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", act, err, want)
	}
}

func create(t *testing.T, v blockio.Volume, name string) blockio.Writer {
	t.Helper()
	w, err := v.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func names(t *testing.T, v blockio.Volume, kind string) []string {
	t.Helper()
	var got []string
	for e, err := range v.List(t.Context(), kind) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %d", e.Name, e.Size))
	}
	return got
}

func testRoundTrip(t *testing.T, v blockio.Volume) {
	for _, n := range []int{1, 511, blockio.BlockSize, 100_000, 3 << 20} {
		name := fmt.Sprintf("seg/n%d", n)
		p := pattern(n, uint64(n))
		put(t, v, name, p)
		wantObject(t, v, name, p)
	}
}

func testEmpty(t *testing.T, v blockio.Volume) {
	put(t, v, "seg/empty", nil)
	wantObject(t, v, "seg/empty", nil)
	if diff := cmp.Diff([]string{"seg/empty 0"}, names(t, v, "seg")); diff != "" {
		t.Error(diff)
	}
}

func testLarge(t *testing.T, v blockio.Volume) {
	p := pattern(16<<20+12345, 1)
	w := create(t, v, "seg/large")
	piece := max(w.Unit(), 1<<20)
	for off := 0; off < len(p); off += piece {
		if _, err := w.WriteAt(p[off:min(off+piece, len(p))], int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context(), int64(len(p))); err != nil {
		t.Fatal(err)
	}
	wantObject(t, v, "seg/large", p)
}

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

func testNotFound(t *testing.T, v blockio.Volume) {
	_, err := v.Open(t.Context(), "seg/a")
	wantErr(t, "open", err, blockio.ErrNotFound)
	wantErr(t, "remove", v.Remove(t.Context(), "seg/a"), blockio.ErrNotFound)
	put(t, v, "seg/a", []byte("x"))
	if err := v.Remove(t.Context(), "seg/a"); err != nil {
		t.Fatal(err)
	}
	_, err = v.Open(t.Context(), "seg/a")
	wantErr(t, "open what was removed", err, blockio.ErrNotFound)
	wantErr(t, "remove twice", v.Remove(t.Context(), "seg/a"), blockio.ErrNotFound)
	put(t, v, "seg/a", []byte("again"))
	wantObject(t, v, "seg/a", []byte("again"))
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

func testNames(t *testing.T, v blockio.Volume) {
	for _, name := range []string{"seg/a", "s.e-g/0.9-z", "k/" + strings.Repeat("x", 200)} {
		put(t, v, name, []byte(name))
		wantObject(t, v, name, []byte(name))
	}
	for _, name := range []string{
		"", "/", "a", "a/", "/a", "a/b/c", "../a", "a/..", "a/.b", ".a/b", "A/b", "a/B", "a/b c", "a/b\x00", "a/é",
		"a//b", "a/b/", "tmp/a", "a_b/c", "a/" + strings.Repeat("x", 256),
	} {
		_, err := v.Create(t.Context(), name)
		wantErr(t, fmt.Sprintf("create %q", name), err, blockio.ErrName)
		_, err = v.Open(t.Context(), name)
		wantErr(t, fmt.Sprintf("open %q", name), err, blockio.ErrName)
		wantErr(t, fmt.Sprintf("remove %q", name), v.Remove(t.Context(), name), blockio.ErrName)
	}
	for _, kind := range []string{"", ".", "..", "tmp", "a/b", "A"} {
		for _, err := range v.List(t.Context(), kind) {
			wantErr(t, fmt.Sprintf("list %q", kind), err, blockio.ErrName)
		}
	}
}

func testList(t *testing.T, v blockio.Volume) {
	if got := names(t, v, "seg"); got != nil {
		t.Errorf("new volume lists %v", got)
	}
	var want []string
	for i := range 200 {
		name := fmt.Sprintf("seg/%d", (i*37)%200)
		put(t, v, name, make([]byte, i))
		want = append(want, fmt.Sprintf("%s %d", name, i))
	}
	put(t, v, "other/x", nil)
	slices.SortFunc(want, func(a, b string) int {
		return strings.Compare(strings.Fields(a)[0], strings.Fields(b)[0])
	})
	if diff := cmp.Diff(want, names(t, v, "seg")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"other/x 0"}, names(t, v, "other")); diff != "" {
		t.Error(diff)
	}
}

func testListStops(t *testing.T, v blockio.Volume) {
	for i := range 5 {
		put(t, v, fmt.Sprintf("seg/%d", i), nil)
	}
	n := 0
	for _, err := range v.List(t.Context(), "seg") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	// What is listed may be removed on the way.
	for e, err := range v.List(t.Context(), "seg") {
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Remove(t.Context(), e.Name); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, v, "seg"); got != nil {
		t.Errorf("left: %v", got)
	}
}

func testOpenAfterRemove(t *testing.T, v blockio.Volume) {
	p := pattern(300_000, 3)
	put(t, v, "seg/a", p)
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Remove(t.Context(), "seg/a"); err != nil {
		t.Fatal(err)
	}
	put(t, v, "seg/a", []byte("another"))
	got := make([]byte, len(p))
	if _, err := o.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, p) {
		t.Error("an open object changed when it was removed")
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	wantObject(t, v, "seg/a", []byte("another"))
}

func testReadAtEnd(t *testing.T, v blockio.Volume) {
	p := pattern(200_000, 4)
	put(t, v, "seg/a", p)
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.Size() != int64(len(p)) {
		t.Errorf("size %d, want %d", o.Size(), len(p))
	}
	for _, c := range []struct {
		off, n, want int
		err          error
	}{
		{0, len(p), len(p), nil},
		{0, len(p) + 1, len(p), io.EOF},
		{0, 1 << 20, len(p), io.EOF},
		{len(p) - 1, 1, 1, nil},
		{len(p) - 1, 2, 1, io.EOF},
		{len(p), 1, 0, io.EOF},
		{1 << 30, 100, 0, io.EOF},
		{1234, 77_777, 77_777, nil},
	} {
		got := make([]byte, c.n)
		n, err := o.ReadAt(got, int64(c.off))
		if n != c.want || err != c.err {
			// io.ReaderAt leaves nil or io.EOF to the reader when a read
			// ends at the end.
			if n != c.want || c.err != nil || err != io.EOF || c.off+c.n != len(p) {
				t.Errorf("read %d at %d: %d, %v; want %d, %v", c.n, c.off, n, err, c.want, c.err)
			}
		}
		if n > 0 && !bytes.Equal(got[:n], p[c.off:c.off+n]) {
			t.Errorf("read %d at %d: wrong bytes", c.n, c.off)
		}
	}
	if _, err := o.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("read at -1: no error")
	}
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

func testSmallObjects(t *testing.T, v blockio.Volume) {
	put(t, v, "rec/a", []byte("hello"))
	err := blockio.WriteObject(t.Context(), v, "rec/a", []byte("again"))
	wantErr(t, "write again", err, blockio.ErrExists)
	_, err = blockio.ReadObject(t.Context(), v, "rec/a", 4)
	wantErr(t, "read with a limit", err, blockio.ErrTooLarge)
	_, err = blockio.ReadObject(t.Context(), v, "rec/b", 4)
	wantErr(t, "read", err, blockio.ErrNotFound)
	wantObject(t, v, "rec/a", []byte("hello"))
}
