package provision_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool/provision"
)

const mib = 1 << 20

// newStore makes a store in memory.
func newStore(t testing.TB) *cas.Store {
	t.Helper()
	opts := cas.Options{Volume: blockiotest.NewMemVolume(), SegmentSize: 8 * mib}
	if err := cas.Init(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	s, err := cas.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// put stores a raw file and keeps it.
func put(t testing.TB, s *cas.Store, path string) cas.ManifestID {
	t.Helper()
	dev, err := blockio.OpenDevice(path, blockio.DeviceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	img, _, err := convert.Open(dev, dev.Size(), convert.Raw, convert.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	session, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	info, err := convert.Import(t.Context(), session, img, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rec := cas.Record{Kind: "image", ID: info.ID.String(), Manifests: []cas.ManifestID{info.ID}}
	if err := s.PutRecord(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	return info.ID
}

// guest makes a raw file that has a file system with some files.
func guest(t testing.TB, size string) string {
	t.Helper()
	root := t.TempDir()
	rng := rand.NewChaCha8([32]byte{1})
	for _, name := range []string{"a", "b", "c"} {
		p := make([]byte, 3*mib)
		_, _ = rng.Read(p)
		if err := os.WriteFile(filepath.Join(root, name), p, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "guest.raw")
	run(t, "mkfs.ext4", "-q", "-d", root, path, size)
	return path
}

func openDir(t testing.TB, opts provision.Options) *provision.Directory {
	t.Helper()
	if opts.Reserve == 0 {
		opts.Reserve = -1
	}
	d, err := provision.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// sameBytes compares a disk with an image, and has its file system checked.
func sameBytes(t *testing.T, d *provision.Directory, b provision.Backing, src string) {
	t.Helper()
	path := d.Path(b.ID, b.Format)
	run(t, "qemu-img", "compare", "-f", "raw", "-F", string(b.Format), src, path)
	if b.Format != convert.Raw {
		run(t, "qemu-img", "check", path)
		flat := filepath.Join(t.TempDir(), "flat")
		run(t, "qemu-img", "convert", "-f", string(b.Format), "-O", "raw", path, flat)
		path = flat
	}
	run(t, "e2fsck", "-fn", path)
}

// Disks made by every method, on every file system, have the image's bytes.
func TestMethods(t *testing.T) {
	t.Parallel()
	src := guest(t, "48M")
	for _, f := range filesystems {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			m := put(t, s, src)
			d := openDir(t, provision.Options{Path: f.dir(t), Store: s})
			if f.mkfs != nil && d.Abilities().Reflink != f.reflink {
				t.Errorf("reflink %v, want %v", d.Abilities().Reflink, f.reflink)
			}
			for _, method := range append(d.Methods(), provision.Blank) {
				if method == provision.Lazy {
					continue // has a test of its own
				}
				r := provision.Request{Manifest: m, Method: method}
				if method == provision.Blank {
					r = provision.Request{Size: 48 * mib, Method: method}
				}
				testMethod(t, d, r, src)
			}
		})
	}
}

func testMethod(t *testing.T, d *provision.Directory, r provision.Request, src string) {
	t.Helper()
	same, err := d.Make(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if same.Size != 48*mib || same.Method != r.Method || same.Dir != d.Dir() {
		t.Errorf("%s: %+v", r.Method, same)
	}
	if r.Method != provision.Blank {
		sameBytes(t, d, same, src)
		if _, err := d.Make(t.Context(), provision.Request{Manifest: r.Manifest, Method: r.Method, Size: 40 * mib}); !errors.Is(err, provision.ErrShrink) {
			t.Errorf("%s, smaller than the image: %v", r.Method, err)
		}
	}
	r.Size = 80 * mib
	large, err := d.Make(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Grow(t.Context(), large, 1<<40); err != nil {
		t.Fatal(err)
	}
	large.Size = 1 << 40
	content, err := d.Open(t.Context(), large)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	p := make([]byte, mib)
	if n, err := content.ReadAt(p, 48*mib); n != len(p) || err != nil || !blockio.IsZero(p) {
		t.Errorf("%s: beyond the image: %d, %v, or not zeros", r.Method, n, err)
	}
	if r.Method != provision.Blank {
		sameContent(t, content, src)
	}
	for _, b := range []provision.Backing{same, large} {
		if err := d.Remove(t.Context(), b); err != nil {
			t.Error(err)
		}
		if err := d.Present(b); !errors.Is(err, provision.ErrMissing) {
			t.Errorf("%s: removed, but %v", r.Method, err)
		}
	}
}

func sameContent(t *testing.T, content *provision.Content, src string) {
	t.Helper()
	want, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := content.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("content differs from the image: %v", err)
	}
}

// What changed of a disk is told without reading it, and is all that a
// snapshot has to read.
func TestChanged(t *testing.T) {
	t.Parallel()
	src := guest(t, "48M")
	for _, f := range filesystems[1:] {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			d := openDir(t, provision.Options{Path: f.dir(t), Store: s})
			m := put(t, s, src)
			for _, method := range []provision.Method{provision.Reflink, provision.Overlay} {
				if !d.Can(method) {
					continue
				}
				b, err := d.Make(t.Context(), provision.Request{Manifest: m, Method: method, Size: 64 * mib})
				if err != nil {
					t.Fatal(err)
				}
				path := d.Path(b.ID, b.Format)
				run(t, "qemu-io", "-f", string(b.Format), "-c", "write -P 7 8M 64k", "-c", "write -P 8 60M 64k", "-c", "write -z 16M 1M", path)
				checkChanged(t, d, b)
			}
		})
	}
}

func checkChanged(t *testing.T, d *provision.Directory, b provision.Backing) {
	t.Helper()
	c, err := d.Open(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	runs, known, err := c.Changed(t.Context())
	if err != nil || !known {
		t.Fatalf("%s: known %v, %v", b.Method, known, err)
	}
	want := []provision.Run{{8 * mib, 64 << 10}, {16 * mib, mib}, {60 * mib, 64 << 10}}
	if diff := cmp.Diff(want, runs); diff != "" {
		t.Errorf("%s (-want +got):\n%s", b.Method, diff)
	}
}

// A base goes with its image, but not while overlays read from it; and comes
// back when it is missing.
func TestBases(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	src := guest(t, "48M")
	m := put(t, s, src)
	dir := t.TempDir()
	d := openDir(t, provision.Options{Path: dir, Store: s})
	b, err := d.Make(t.Context(), provision.Request{Manifest: m, Method: provision.Overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.DropBase(m); err != nil {
		t.Fatal(err)
	}
	if !d.HasBase(m) {
		t.Fatal("the base of an overlay is gone")
	}
	// Somebody removes it: it is built again at the next start.
	if err := os.Remove(filepath.Join(dir, "bases", m.String()+".raw")); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, provision.Options{Path: dir, Store: s})
	if _, err := d.Recover(t.Context(), provision.Inventory{Disks: map[provision.BackingID]provision.Backing{b.ID: b}}); err != nil {
		t.Fatal(err)
	}
	sameBytes(t, d, b, src)
	if err := d.Remove(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if d.HasBase(m) {
		t.Error("the base outlives its image and overlays")
	}
}

// A disk that cannot be put aside durably is where it was, and is put aside when that
// is asked for again.
func TestRetireFails(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	m := put(t, s, guest(t, "48M"))
	dir := t.TempDir()
	d := openDir(t, provision.Options{Path: dir, Store: s})
	b, err := d.Make(t.Context(), provision.Request{Manifest: m, Method: provision.Copy})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	d.FailSync(broken)
	if err := d.Retire(t.Context(), b); !errors.Is(err, broken) {
		t.Errorf("retire: %v, want %v", err, broken)
	}
	if err := d.Present(b); err != nil {
		t.Error(err)
	}
	if err := d.Retire(t.Context(), b); err != nil {
		t.Errorf("retire again: %v", err)
	}
	if err := d.Present(b); !errors.Is(err, provision.ErrMissing) {
		t.Errorf("a disk that was put aside: %v", err)
	}
}

// Recover keeps what has an owner and what is as good as new, and nothing else.
func TestRecover(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	m := put(t, s, guest(t, "48M"))
	dir := t.TempDir()
	d := openDir(t, provision.Options{Path: dir, Store: s})
	mk := func(size int64) provision.Backing {
		b, err := d.Make(t.Context(), provision.Request{Manifest: m, Method: provision.ReadyMade, Size: size})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	owned, retired, good, written, grown, gone := mk(0), mk(0), mk(0), mk(0), mk(0), mk(0)
	run(t, "qemu-io", "-f", "raw", "-c", "write -P 7 8M 64k", d.Path(written.ID, written.Format))
	if err := d.Grow(t.Context(), grown, 64*mib); err != nil {
		t.Fatal(err)
	}
	for _, b := range []provision.Backing{retired, gone} {
		if err := d.Retire(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "tmp", "t99"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, provision.Options{Path: dir, Store: s})
	missing := provision.NewBackingID(m)
	disks := map[provision.BackingID]provision.Backing{owned.ID: owned, retired.ID: retired, missing: {ID: missing}}
	// While some records cannot be read nothing is removed or given out.
	if found, err := d.Recover(t.Context(), provision.Inventory{Disks: disks, Incomplete: true}); err != nil || found.Removed+len(found.Ready) > 0 {
		t.Errorf("incomplete inventory: %+v, %v", found, err)
	}
	found, err := d.Recover(t.Context(), provision.Inventory{
		Disks:  disks,
		Images: map[cas.ManifestID]bool{m: true},
		Ready:  func(cas.ManifestID, int64) bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Ready) != 1 || found.Ready[0].ID != good.ID || found.Ready[0].Size != good.Size {
		t.Errorf("ready %+v, want only %s", found.Ready, good.ID)
	}
	if len(found.Owned) != 2 || found.Owned[missing] {
		t.Errorf("owned %v, want two", found.Owned)
	}
	for _, b := range []provision.Backing{owned, retired, good} {
		if err := d.Present(b); err != nil {
			t.Error(err)
		}
	}
	left, err := os.ReadDir(filepath.Join(dir, "disks"))
	if err != nil || len(left) != 3 {
		t.Errorf("%d files, %v; want 3", len(left), err)
	}
}

// A disk whose virtual machine runs is not grown.
func TestInUse(t *testing.T) {
	t.Parallel()
	d := openDir(t, provision.Options{Path: t.TempDir(), Store: newStore(t)})
	b, err := d.Make(t.Context(), provision.Request{Size: mib, Method: provision.Blank})
	if err != nil {
		t.Fatal(err)
	}
	lock := lockAsQEMU(t, d.Path(b.ID, b.Format))
	if err := d.Grow(t.Context(), b, 2*mib); !errors.Is(err, provision.ErrInUse) {
		t.Errorf("grow: %v, want %v", err, provision.ErrInUse)
	}
	lock.Close()
	if err := d.Grow(t.Context(), b, 2*mib); err != nil {
		t.Error(err)
	}
	if err := d.Grow(t.Context(), b, mib); err == nil {
		t.Error("shrunk")
	}
}

// A directory that is full says so, and a cancelled make leaves nothing.
func TestMakeFails(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	m := put(t, s, guest(t, "48M"))
	dir := t.TempDir()
	d := openDir(t, provision.Options{Path: dir, Store: s})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, method := range []provision.Method{provision.Overlay, provision.Copy} {
		if _, err := d.Make(ctx, provision.Request{Manifest: m, Method: method}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want %v", method, err, context.Canceled)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	full, err := provision.Open(t.Context(), provision.Options{Path: dir, Store: s, Reserve: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, method := range []provision.Method{provision.Overlay, provision.Copy} {
		if _, err := full.Make(t.Context(), provision.Request{Manifest: m, Method: method}); !errors.Is(err, provision.ErrNoSpace) {
			t.Errorf("%s: %v, want %v", method, err, provision.ErrNoSpace)
		}
	}
	for _, sub := range []string{"tmp", "bases", "disks"} {
		if left, err := os.ReadDir(filepath.Join(dir, sub)); err != nil || len(left) > 0 {
			t.Errorf("%s: %d files left, %v", sub, len(left), err)
		}
	}
}

// A disk that no file of the file system can hold is refused as such, and leaves
// nothing; a disk that cannot grow to such a size stays as it was.
func TestFilesTooLarge(t *testing.T) {
	s := newStore(t)
	src := guest(t, "48M")
	m := put(t, s, src)
	dir := t.TempDir()
	d := openDir(t, provision.Options{Path: dir, Store: s})
	const most = 256 * mib
	blockiotest.LimitFiles(t, most)
	for _, method := range []provision.Method{provision.Blank, provision.Copy, provision.Lazy} {
		r := provision.Request{Manifest: m, Method: method, Size: most + mib}
		if method == provision.Blank {
			r.Manifest = cas.ManifestID{}
		}
		_, err := d.Make(t.Context(), r)
		if !errors.Is(err, provision.ErrFileSize) || !strings.Contains(err.Error(), fmt.Sprint(r.Size)) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %v with the size and without the directory", method, err, provision.ErrFileSize)
		}
		if left, err := os.ReadDir(filepath.Join(dir, "disks")); err != nil || len(left) > 0 {
			t.Errorf("%s: %d files left, %v", method, len(left), err)
		}
		r.Size = 0
		if method == provision.Blank {
			r.Size = mib
		}
		b, err := d.Make(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Grow(t.Context(), b, most+mib); !errors.Is(err, provision.ErrFileSize) || strings.Contains(err.Error(), dir) {
			t.Errorf("grow %s: %v, want %v without the directory", method, err, provision.ErrFileSize)
		}
		if method == provision.Copy {
			sameBytes(t, d, b, src)
		}
		if err := d.Remove(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	// An overlay's file is not as long as the disk.
	b, err := d.Make(t.Context(), provision.Request{Manifest: m, Method: provision.Overlay, Size: most + mib})
	if err == nil {
		err = d.Grow(t.Context(), b, 2*most)
	}
	if err != nil {
		t.Error(err)
	}
}

// A directory is that of one store: with another's records everything in it
// would be a leftover.
func TestOtherStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDir(t, provision.Options{Path: dir, Store: newStore(t)})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := provision.Open(t.Context(), provision.Options{Path: dir, Store: newStore(t)}); !errors.Is(err, provision.ErrOtherStore) {
		t.Errorf("error %v, want %v", err, provision.ErrOtherStore)
	}
}
