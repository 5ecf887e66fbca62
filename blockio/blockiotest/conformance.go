package blockiotest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
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
		{"Reserved", testReserved},
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
