package qcow2_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/convert/qcow2"
)

// writeImage writes guest bytes to a new image, four windows at once.
func writeImage(t testing.TB, path string, guest []byte, opts qcow2.WriterOptions) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := qcow2.Create(f, int64(len(guest)), opts)
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(4)
	for off := 0; off < len(guest); off += qcow2.Window {
		group.Go(func() error {
			_, err := w.WriteAt(guest[off:min(off+qcow2.Window, len(guest))], int64(off))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// mixture is guest bytes with zeros, text-like and incompressible runs of
// changing lengths.
func mixture(size int, seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	p := make([]byte, size)
	for off := 0; off < size; {
		n := min(size-off, 1<<(8+rnd.IntN(14)))
		run := p[off : off+n]
		switch rnd.IntN(4) {
		case 0: // zeros
		case 1:
			for i := range run {
				run[i] = byte(rnd.Uint32())
			}
		case 2:
			for i := range run {
				run[i] = "etaoin shrdlu"[rnd.IntN(13)]
			}
		default:
			b := byte(rnd.Uint32())
			for i := range run {
				run[i] = b
			}
		}
		off += n
	}
	return p
}

func TestWriterAgainstQEMU(t *testing.T) {
	needQEMU(t)
	compressions := map[string]qcow2.Compression{"plain": qcow2.None, "zlib": qcow2.Zlib, "zstd": qcow2.Zstd}
	for _, clusterSize := range []int64{512, 4 << 10, 8 << 10, 64 << 10, 2 << 20} {
		for name, compression := range compressions {
			for _, size := range []int{0, 512, 9<<20 + 1536} {
				t.Run(fmt.Sprintf("%d/%s/%d", clusterSize, name, size), func(t *testing.T) {
					t.Parallel()
					guest := mixture(size, uint64(size))
					dir := t.TempDir()
					image, raw := filepath.Join(dir, "image"), filepath.Join(dir, "raw")
					writeImage(t, image, guest, qcow2.WriterOptions{ClusterSize: clusterSize, Compression: compression})
					run(t, "qemu-img", "check", "-f", "qcow2", image)
					if err := os.WriteFile(raw, guest, 0o644); err != nil {
						t.Fatal(err)
					}
					run(t, "qemu-img", "compare", "-f", "qcow2", "-F", "raw", image, raw)
					im := openFile(t, image, qcow2.Options{})
					if err := im.Check(t.Context(), nil); err != nil {
						t.Errorf("Check: %v", err)
					}
					got := make([]byte, size)
					if n, err := im.ReadAt(got, 0); n < size {
						t.Fatalf("ReadAt: %v", err)
					}
					if !bytes.Equal(got, guest) {
						t.Error("what is read is not what was written")
					}
				})
			}
		}
	}
}
