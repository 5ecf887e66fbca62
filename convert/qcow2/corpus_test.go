package qcow2_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/convert/qcow2"
)

// window is the unit of the comparisons, as the pipelines read.
const window = 4 << 20

// TestCorpus reads the corpus of real images that BLOCKMILL_CORPUS names: every
// qcow2 variant of a.raw, and a-snap.qcow2, which has its own content.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("BLOCKMILL_CORPUS")
	if dir == "" {
		t.Skip("BLOCKMILL_CORPUS names no corpus")
	}
	images, err := filepath.Glob(filepath.Join(dir, "*.qcow2"))
	if err != nil || len(images) == 0 {
		t.Fatalf("no images in the corpus: %v", err)
	}
	for _, path := range images {
		t.Run(filepath.Base(path), func(t *testing.T) {
			raw := filepath.Join(dir, "a.raw")
			if strings.HasPrefix(filepath.Base(path), "a-snap") {
				raw = filepath.Join(t.TempDir(), "raw")
				run(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw)
			}
			im := openFile(t, path, qcow2.Options{})
			if err := im.Check(t.Context(), nil); err != nil {
				t.Fatalf("Check: %v", err)
			}
			if diff := cmp.Diff(mapOfQEMU(t, path), merged(t, im)); diff != "" {
				t.Errorf("extents (-QEMU +ours):\n%.2000s", diff)
			}
			if err := sameBytes(im, raw); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// run runs a tool, and gives its standard output.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out
}

func openFile(t testing.TB, path string, opts qcow2.Options) *qcow2.Image {
	t.Helper()
	f, size := openRead(t, path)
	im, err := qcow2.Open(f, size, opts)
	if err != nil {
		t.Fatalf("Open %s: %v", filepath.Base(path), err)
	}
	return im
}

func openRead(t testing.TB, path string) (f *os.File, size int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, st.Size()
}

// sameBytes compares an image with a raw file, windows in parallel.
func sameBytes(im *qcow2.Image, raw string) error {
	f, err := os.Open(raw)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() != im.Size() {
		return fmt.Errorf("size is %d, want %d", im.Size(), st.Size())
	}
	workers := runtime.GOMAXPROCS(0)
	var group errgroup.Group
	for first := range workers {
		group.Go(func() error {
			got, want := make([]byte, window), make([]byte, window)
			for off := int64(first) * window; off < im.Size(); off += int64(workers) * window {
				n, err := im.ReadAt(got, off)
				if err != nil && !errors.Is(err, io.EOF) {
					return err
				}
				if _, err := f.ReadAt(want[:n], off); err != nil {
					return err
				}
				if !bytes.Equal(got[:n], want[:n]) {
					i := 0
					for got[i] == want[i] {
						i++
					}
					return fmt.Errorf("bytes differ at %d", off+int64(i))
				}
			}
			return nil
		})
	}
	return group.Wait()
}
