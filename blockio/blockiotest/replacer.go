package blockiotest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
)

// ReplacingVolume is a Volume with the abilities that a shard needs.
type ReplacingVolume interface {
	blockio.Volume
	blockio.Replacer
	blockio.KindLister
}

// TestReplacer checks the optional abilities of a Volume: to replace objects
// and to list its kinds.
func TestReplacer(t *testing.T, newVolume func(t *testing.T) ReplacingVolume) {
	for _, c := range []struct {
		name string
		test func(*testing.T, ReplacingVolume)
	}{
		{"Replace", testReplace},
		{"ReplaceNothing", testReplaceNothing},
		{"ReplaceAborted", testReplaceAborted},
		{"ReplaceWhileOpen", testReplaceWhileOpen},
		{"Kinds", testKinds},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, newVolume(t))
		})
	}
}

func replace(t *testing.T, v ReplacingVolume, name string, p []byte) {
	t.Helper()
	w, err := v.Replace(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt(p, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), int64(len(p))); err != nil {
		t.Fatal(err)
	}
}

func testReplace(t *testing.T, v ReplacingVolume) {
	put(t, v, "seg/a", pattern(100_000, 1))
	replace(t, v, "seg/a", []byte("short"))
	wantObject(t, v, "seg/a", []byte("short"))
	if diff := cmp.Diff([]string{"seg/a 5"}, names(t, v, "seg")); diff != "" {
		t.Error(diff)
	}
	_, err := v.Create(t.Context(), "seg/a")
	wantErr(t, "create", err, blockio.ErrExists)
	_, err = v.Replace(t.Context(), "../a")
	wantErr(t, "replace", err, blockio.ErrName)
}

func testReplaceNothing(t *testing.T, v ReplacingVolume) {
	replace(t, v, "seg/a", []byte("first"))
	wantObject(t, v, "seg/a", []byte("first"))
}

func testReplaceAborted(t *testing.T, v ReplacingVolume) {
	put(t, v, "seg/a", []byte("first"))
	w, err := v.Replace(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt([]byte("second"), 0); err != nil {
		t.Fatal(err)
	}
	wantObject(t, v, "seg/a", []byte("first"))
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	wantObject(t, v, "seg/a", []byte("first"))
}

func testReplaceWhileOpen(t *testing.T, v ReplacingVolume) {
	put(t, v, "seg/a", []byte("first"))
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	replace(t, v, "seg/a", []byte("other"))
	p := make([]byte, 5)
	if _, err := o.ReadAt(p, 0); err != nil || string(p) != "first" {
		t.Errorf("an open object reads %q, %v after it was replaced", p, err)
	}
	wantObject(t, v, "seg/a", []byte("other"))
}

func testKinds(t *testing.T, v ReplacingVolume) {
	for _, name := range []string{"b/x", "a/x", "b/y"} {
		put(t, v, name, nil)
	}
	kinds, err := v.Kinds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, kinds); diff != "" {
		t.Error(diff)
	}
}
