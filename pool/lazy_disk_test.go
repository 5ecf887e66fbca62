package pool_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
)

// openLazyNode opens a node whose background work is slow, or not.
func openLazyNode(t *testing.T, s *cas.Store, dir string, rate int64) *pool.Node {
	t.Helper()
	return openLazyNodeWith(t, s, provision.Options{Path: dir, FillRate: rate})
}

func openLazyNodeWith(t *testing.T, s *cas.Store, opts provision.Options) *pool.Node {
	t.Helper()
	opts.Methods, opts.Reserve = []provision.Method{provision.Lazy}, -1
	n, err := pool.Open(t.Context(), pool.Options{
		Store:  s,
		Disks:  []provision.Options{opts},
		NBDURI: func(id pool.DiskID) string { return "nbd:" + string(id) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func write(t *testing.T, n *pool.Node, id pool.DiskID, p []byte, off int64) {
	t.Helper()
	o, err := n.OpenDisk(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Device.(io.WriterAt).WriteAt(p, off); err != nil {
		t.Error(err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func contentOf(t *testing.T, n *pool.Node, id pool.DiskID) []byte {
	t.Helper()
	o, err := n.OpenDisk(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p := make([]byte, o.Size)
	if _, err := o.Device.ReadAt(p, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return p
}

// A lazy disk is there at once, is written, stored and reopened while its bytes
// are still the image's, and stands alone when they have come over.
func TestLazyDisk(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	dir := t.TempDir()
	n := openLazyNode(t, s, dir, 1) // a byte a second: nothing comes over by itself
	img := makeImage(t, n, named("image"), "guest")
	spec := diskOf("disk", img.ID)
	spec.Size = 16 << 20
	d := createDisk(t, n, spec)
	if d.Method != provision.Lazy || d.Base != img.Manifest {
		t.Fatalf("made by %s, base %v", d.Method, d.Base)
	}
	if a, err := n.AttachDisk(d.ID); err != nil || a.Path != "" || a.NBDURI == "" {
		t.Errorf("attach: %+v, %v", a, err)
	}
	want := contentOf(t, n, d.ID)
	if !bytes.HasPrefix(want, []byte("guest")) || len(want) != 16<<20 {
		t.Fatalf("%d bytes: %q", len(want), want[:10])
	}
	write(t, n, d.ID, []byte("written"), 9<<20+5)
	copy(want[9<<20+5:], "written")
	if _, err := n.GrowDisk(t.Context(), d.ID, 24<<20); err != nil {
		t.Fatalf("grow while it is lazy: %v", err)
	}
	want = append(want, make([]byte, 8<<20)...)
	write(t, n, d.ID, []byte("beyond"), 16<<20-3)
	copy(want[16<<20-3:], "beyond")
	if got := contentOf(t, n, d.ID); !bytes.Equal(got, want) {
		t.Error("wrong bytes once it has grown")
	}
	snap, err := n.ReserveSnapshot(pool.Snapshot{SourceDisk: d.ID})
	if err == nil {
		snap, err = n.MakeSnapshot(t.Context(), snap.ID, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := imageBytes(t, s, snap.Manifest); !bytes.Equal(got, want) {
		t.Error("a snapshot of a lazy disk has other bytes")
	}
	// The image may go, and its bytes stay for the disk.
	if err := n.DeleteImage(t.Context(), img.ID); err != nil {
		t.Fatal(err)
	}
	if err := n.DeleteSnapshot(t.Context(), snap.ID); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GC(t.Context(), cas.GCOptions{}); err != nil {
		t.Fatal(err)
	}

	n = openLazyNode(t, s, dir, 0)
	awaitAlone(t, n, d.ID)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = openLazyNode(t, s, dir, 0)
	if got := contentOf(t, n, d.ID); !bytes.Equal(got, want) {
		t.Error("wrong bytes once they have come over")
	}
	a, err := n.AttachDisk(d.ID)
	if err != nil || a.Path == "" || a.Method != provision.Lazy {
		t.Errorf("attach: %+v, %v", a, err)
	}
	if got, err := os.ReadFile(a.Path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file is not the disk: %v", err)
	}
	if maps, _ := filepath.Glob(filepath.Join(dir, "disks", "*.map")); len(maps) > 0 {
		t.Errorf("left over: %v", maps)
	}
	if _, err := n.GrowDisk(t.Context(), d.ID, 32<<20); err != nil {
		t.Errorf("grow: %v", err)
	}
	if err := n.DeleteDisk(t.Context(), d.ID); err != nil {
		t.Error(err)
	}
	if k := filesIn(t, dir); k != 0 {
		t.Errorf("%d files are left", k)
	}
}

// A disk that a client has open does not grow: the client would go on with the map
// and the size of before, and lose what it writes.
func TestOpenDiskDoesNotGrow(t *testing.T) {
	for _, method := range []provision.Method{provision.Lazy, provision.Copy} {
		s := makeStore(t, blockiotest.NewMemVolume())
		dir := t.TempDir()
		opts := []provision.Method{method}
		open := func() *pool.Node {
			n, err := pool.Open(t.Context(), pool.Options{Store: s, Disks: []provision.Options{{Path: dir, Methods: opts, FillRate: 1, Reserve: -1}}})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		n := open()
		img := makeImage(t, n, named("image"), "guest")
		d := createDisk(t, n, diskOf("disk", img.ID))
		o, err := n.OpenDisk(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.GrowDisk(t.Context(), d.ID, 2*d.Size); !errors.Is(err, pool.ErrInUse) {
			t.Errorf("%s: grow a disk that is open: %v, want %v", method, err, pool.ErrInUse)
		}
		if _, err := o.Device.(io.WriterAt).WriteAt([]byte("written"), 1<<20); err != nil {
			t.Error(err)
		}
		if err := errors.Join(o.Close(), n.Close()); err != nil {
			t.Fatal(err)
		}
		n = open()
		if got := contentOf(t, n, d.ID)[1<<20:]; !bytes.HasPrefix(got, []byte("written")) {
			t.Errorf("%s: what was written and synced is lost: %q", method, got[:7])
		}
		if _, err := n.GrowDisk(t.Context(), d.ID, 2*d.Size); err != nil {
			t.Errorf("%s: grow a disk that nobody has: %v", method, err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A lazy disk that is deleted while its bytes come over leaves nothing.
func TestLazyDiskIsDeleted(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	dir := t.TempDir()
	n := openLazyNode(t, s, dir, 1)
	img := makeImage(t, n, named("image"), "guest")
	d := createDisk(t, n, diskOf("disk", img.ID))
	if err := n.DeleteDisk(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	if k := filesIn(t, dir); k != 0 {
		t.Errorf("%d files are left", k)
	}
}

func imageBytes(t *testing.T, s *cas.Store, m cas.ManifestID) []byte {
	t.Helper()
	img, err := s.OpenImage(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	p := make([]byte, img.Size())
	if _, err := img.ReadAt(p, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return p
}

// A process that dies while a lazy disk grows leaves it as it was or grown, with
// its bytes, and growing it once more goes well.
func TestLazyDiskDiesGrowing(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	for last := int64(1); ; last++ {
		dir := t.TempDir()
		left := int64(math.MaxInt64)
		n := openLazyNodeWith(t, s, provision.Options{Path: dir, FillRate: 1, Step: func(string) error {
			if left--; left < 0 {
				return errDead
			}
			return nil
		}})
		img := makeImage(t, n, named(fmt.Sprintf("image-%d", last)), "guest")
		spec := diskOf("", img.ID)
		spec.Size = 16 << 20
		d := createDisk(t, n, spec)
		write(t, n, d.ID, []byte("written"), 9<<20)
		want := contentOf(t, n, d.ID)
		left = last - 1
		_, grown := n.GrowDisk(t.Context(), d.ID, 24<<20)
		left = math.MaxInt64
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		n = openLazyNode(t, s, dir, 1)
		if got := contentOf(t, n, d.ID); !bytes.HasPrefix(got, want) {
			t.Errorf("dead at step %d: wrong bytes", last)
		}
		record, device, file := sizesOf(t, n, d.ID)
		if record < 16<<20 || record > device || device > file {
			t.Errorf("dead at step %d: the record says %d bytes, the map %d, the file has %d", last, record, device, file)
		}
		if _, err := n.GrowDisk(t.Context(), d.ID, 24<<20); err != nil && grown != nil {
			t.Errorf("dead at step %d: grow again: %v", last, err)
		}
		if got := contentOf(t, n, d.ID); !bytes.Equal(got, append(want, make([]byte, 8<<20)...)) {
			t.Errorf("dead at step %d: wrong bytes once it has grown", last)
		}
		if err := n.DeleteDisk(t.Context(), d.ID); err != nil {
			t.Error(err)
		}
		if k := filesIn(t, dir); k != 0 {
			t.Errorf("dead at step %d: %d files are left", last, k)
		}
		if grown == nil {
			if last < 4 {
				t.Errorf("grown in %d steps", last-1)
			}
			return
		}
	}
}

// sizesOf are those of a lazy disk: what its record says, what its map does, and
// the length of its file. Each is as large as the one before it, or a guest would
// be told of bytes that are not there.
func sizesOf(t *testing.T, n *pool.Node, id pool.DiskID) (record, device, file int64) {
	t.Helper()
	o, err := n.OpenDisk(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	info, err := os.Stat(filepath.Join(o.Dir, "disks", string(o.Backing)+".raw"))
	if err != nil {
		t.Fatal(err)
	}
	return o.Size, o.Device.Size(), info.Size()
}

// The map of a lazy disk goes with the disk, also when giving up the base went
// wrong: when the record was written in spite of an error, and when the map could
// not be removed with it.
func TestLazyDiskLeavesNoMap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault blockiotest.Fault
		step  string // that fails
		lazy  bool   // to the end
	}{
		{name: "deleted while it is lazy", lazy: true},
		{name: "the record's old version stays", fault: blockiotest.Fault{Ops: blockiotest.OpRemove, N: 1}},
		{name: "the map stays", step: "remove map"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := blockiotest.NewMemVolume()
			s := makeStore(t, v)
			dir := filepath.Join(t.TempDir(), "[a]*") // no pattern is made of it
			n := openLazyNode(t, s, dir, 1)
			d := createDisk(t, n, diskOf("disk", makeImage(t, n, named("image"), "guest").ID))
			if !tt.lazy {
				if err := n.Close(); err != nil {
					t.Fatal(err)
				}
				v.Inject(tt.fault)
				n = openLazyNodeWith(t, s, provision.Options{Path: dir, Step: func(step string) error {
					if step == tt.step {
						return errDead
					}
					return nil
				}})
				awaitAlone(t, n, d.ID)
			}
			if err := n.DeleteDisk(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			if left := filesIn(t, dir); left > 0 {
				t.Errorf("%d files are left", left)
			}
		})
	}
}

// awaitAlone returns when a lazy disk has come over.
func awaitAlone(t *testing.T, n *pool.Node, id pool.DiskID) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		d, err := n.Disk(id)
		if err != nil {
			t.Fatal(err)
		}
		if d.Base == (cas.ManifestID{}) {
			return
		}
		<-tick.C
	}
}
