package corpus_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/bench/corpus"
)

// A corpus of a given image has it in all formats, and what is there already
// is left alone.
func TestMakeOfImages(t *testing.T) {
	if _, err := exec.LookPath("qemu-img"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("qemu-img is not installed")
	}
	dir := t.TempDir()
	image := filepath.Join(t.TempDir(), "mine.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", image, "6M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	opts := corpus.Options{Dir: filepath.Join(dir, "corpus"), Images: []string{image}, Log: t.Output()}
	if err := corpus.Make(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"a-2M.qcow2", "a-512.qcow2", "a-stream.vmdk", "a-zlib.qcow2", "a-zstd-2M.qcow2", "a-zstd.qcow2",
		"a.qcow2", "a.raw", "rnd8g.raw",
	}
	if got := list(t, opts.Dir); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the corpus has %v, want %v", got, want)
	}
	random, err := os.ReadFile(filepath.Join(opts.Dir, "rnd8g.raw"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := random[:1<<20], random[2<<20:3<<20]
	if len(random) != 12<<20 || bytes.Equal(first, second) || !bytes.Equal(random[1<<20:2<<20], make([]byte, 1<<20)) {
		t.Errorf("rnd8g.raw of %d bytes is not data and holes by turns", len(random))
	}
	kept := filepath.Join(opts.Dir, "a.qcow2")
	if err := os.WriteFile(kept, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := corpus.Make(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	if p, err := os.ReadFile(kept); err != nil || string(p) != "kept" {
		t.Errorf("what was there was made again: %q, %v", p, err)
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestMakeRefuses(t *testing.T) {
	tests := []struct {
		opts corpus.Options
		err  string
	}{
		{corpus.Options{Images: []string{"a", "b", "c", "d"}}, "three at most"},
		{corpus.Options{Size: 1 << 20}, "1 GiB at least"},
		{corpus.Options{Size: 1<<30 + 512}, "whole MiB"},
		{corpus.Options{Images: []string{"/no/such/image"}}, "exit status 1"},
	}
	for _, tt := range tests {
		tt.opts.Dir = t.TempDir()
		if err := corpus.Make(t.Context(), tt.opts); err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%+v: error %v, want %q", tt.opts, err, tt.err)
		}
	}
}
