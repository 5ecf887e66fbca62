package export_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/nbd"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/export"
	"github.com/blockmill/blockmill/pool/provision"
)

const size = 12 << 20

// fixture is a node with an image, and its exports.
type fixture struct {
	t       *testing.T
	store   *cas.Store
	node    *pool.Node
	image   pool.Image
	bytes   []byte
	exports *export.Exports
}

func newFixture(t *testing.T, opts export.Options) *fixture {
	t.Helper()
	v := cas.Options{Volume: blockiotest.NewMemVolume()}
	if err := cas.Init(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t}
	var err error
	if f.store, err = cas.Open(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.store.Close() })
	f.node, err = pool.Open(t.Context(), pool.Options{
		Store: f.store, DefaultFolder: "f",
		Disks: []provision.Options{{Path: t.TempDir(), Reserve: -1, FillRate: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.node.Close(); err != nil {
			t.Error(err)
		}
	})
	f.bytes = make([]byte, size)
	for i := range f.bytes[:5<<20] {
		f.bytes[i] = byte(i>>3 ^ i*i)
	}
	f.image = f.makeImage("debian")
	opts.Node, opts.Store = f.node, f.store
	opts.Folders = func() []pool.FolderID { return []pool.FolderID{"f", "g"} }
	f.exports = export.New(opts)
	return f
}

func (f *fixture) makeImage(name string) pool.Image {
	f.t.Helper()
	img, err := f.node.ReserveImage(pool.Image{Meta: pool.Meta[pool.ImageID]{Folder: "f", Name: name}})
	if err == nil {
		var content convert.Image
		if content, _, err = convert.Open(bytes.NewReader(f.bytes), size, convert.Raw, convert.OpenOptions{}); err == nil {
			img, err = f.node.FillImage(f.t.Context(), img.ID, pool.Filling{Content: content, Format: convert.Raw})
		}
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return img
}

func (f *fixture) makeDisk(name string, folder pool.FolderID, m provision.Method) pool.Disk {
	f.t.Helper()
	d, err := f.node.CreateDisk(f.t.Context(), pool.Disk{
		Meta: pool.Meta[pool.DiskID]{Folder: folder, Name: name}, Source: pool.Source{Image: f.image.ID}, Method: m,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return d
}

func (f *fixture) open(name string, who nbd.Identity) *nbd.Export {
	f.t.Helper()
	x, err := f.exports.Open(f.t.Context(), name, who)
	if err != nil {
		f.t.Fatal(err)
	}
	return x
}

func TestNames(t *testing.T) {
	f := newFixture(t, export.Options{Allow: func(who nbd.Identity, th export.Thing, write bool) bool {
		return who.Name != "stranger" && (who.Name != "reader" || !write) && (who.Name != "of g" || th.Folder == "g")
	}})
	d := f.makeDisk("web", "f", provision.Copy)
	twice := f.makeDisk("web", "g", provision.Copy)
	for _, tt := range []struct {
		name, who string
		want      string // "" when it is not there
		readOnly  bool
	}{
		{"image/debian", "", "image/" + string(f.image.ID), true},
		{"image/" + string(f.image.ID), "", "image/" + string(f.image.ID), true},
		{"disk/" + string(d.ID), "", "disk/" + string(d.ID), false},
		{"disk/" + string(d.ID), "reader", "disk/" + string(d.ID), true},
		{"disk/" + string(d.ID), "stranger", "", false},
		{"disk/" + string(d.ID), "of g", "", false},
		{"disk/web", "", "", false}, // of two folders
		{"disk/web", "of g", "disk/" + string(twice.ID), false},
		{"image/web", "", "", false},
		{"debian", "", "", false},
		{"", "", "", false},
		{"image/", "", "", false},
		{"thing/debian", "", "", false},
	} {
		x, err := f.exports.Open(t.Context(), tt.name, nbd.Identity{Name: tt.who})
		if tt.want == "" {
			if !errors.Is(err, nbd.ErrNotFound) {
				t.Errorf("%q for %q: %v", tt.name, tt.who, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q for %q: %v", tt.name, tt.who, err)
			continue
		}
		if x.Name != tt.want || x.ReadOnly != tt.readOnly {
			t.Errorf("%q for %q: %s, read-only %v", tt.name, tt.who, x.Name, x.ReadOnly)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	list, err := f.exports.List(t.Context(), nbd.Identity{Name: "of g"})
	if err != nil || len(list) != 1 || list[0].Name != "disk/"+string(twice.ID) || list[0].Description != "web" {
		t.Errorf("list: %v, %v", list, err)
	}
}

// One client at a time writes to a disk, and nothing is stored or deleted
// meanwhile.
func TestWriters(t *testing.T) {
	f := newFixture(t, export.Options{Patience: time.Millisecond})
	d := f.makeDisk("web", "f", provision.Copy)
	name := export.Name(export.Disk, string(d.ID))
	a1, a2 := f.open(name, nbd.Identity{Peer: "a"}), f.open(name, nbd.Identity{Peer: "a"})
	b := f.open(name, nbd.Identity{Peer: "b"})
	if err := f.snapshot(d.ID); err != nil {
		t.Errorf("a snapshot while nobody writes: %v", err)
	}
	for _, x := range []*nbd.Export{a1, a2} {
		if err := x.BeginWrite(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.BeginWrite(t.Context()); !errors.Is(err, nbd.ErrBusy) {
		t.Errorf("a second client: %v", err)
	}
	if err := a1.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.BeginWrite(t.Context()); !errors.Is(err, nbd.ErrBusy) {
		t.Errorf("while one connection of the first is left: %v", err)
	}
	if err := f.snapshot(d.ID); !errors.Is(err, pool.ErrInUse) {
		t.Errorf("a snapshot while someone writes: %v", err)
	}
	if err := f.node.DeleteDisk(t.Context(), d.ID); !errors.Is(err, pool.ErrInUse) {
		t.Errorf("deletion while someone writes: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.BeginWrite(ctx); err == nil {
		t.Error("began with the context at its end")
	}
	if err := a2.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.BeginWrite(t.Context()); err != nil {
		t.Errorf("once the first client is gone: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	grown, err := f.node.GrowDisk(t.Context(), d.ID, 2*size)
	if err != nil {
		t.Fatal(err)
	}
	x := f.open(name, nbd.Identity{})
	if x.Size != grown.Size || x.Device.Size() != grown.Size {
		t.Errorf("opened again, the size is %d", x.Size)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.node.DeleteDisk(t.Context(), d.ID); err != nil {
		t.Error(err)
	}
}

func (f *fixture) snapshot(id pool.DiskID) error {
	s, err := f.node.ReserveSnapshot(pool.Snapshot{SourceDisk: id})
	if err == nil {
		_, err = f.node.MakeSnapshot(f.t.Context(), s.ID, nil)
	}
	return err
}

// Real clients read images and snapshots, and write to disks of every method
// that has a raw file.
func TestClients(t *testing.T) {
	for _, p := range []string{"qemu-img", "qemu-io", "nbdinfo"} {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	f := newFixture(t, export.Options{})
	sock := serve(t, f.exports)
	uri := func(name string) string { return nbd.URI(sock, name, false) }
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, f.bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", source, uri("image/debian"))
	fails(t, "qemu-io", "-f", "raw", "-c", "write 0 512", uri("image/debian"))
	for _, m := range []provision.Method{provision.Copy, provision.Lazy, provision.Overlay} {
		d := f.makeDisk(string(m), "f", m)
		export := uri("disk/" + string(m))
		run(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", source, export)
		if m == provision.Overlay {
			fails(t, "qemu-io", "-f", "raw", "-c", "write 0 512", export)
			continue
		}
		run(t, "qemu-io", "-f", "raw", "-c", "write -P 0x77 1M 1M", "-c", "write -P 0x78 3000 700", "-c", "write -z 2M 1M", "-c", "discard 4M 64k",
			"-c", "write -P 0x79 10M 64k", "-c", "flush", "-c", "read -P 0x77 1M 1M", "-c", "read -P 0x78 3000 700", "-c", "read -P 0 2M 1M", "-c", "read -P 0x79 10M 64k", export)
		want := bytes.Clone(f.bytes)
		fill(want[1<<20:2<<20], 0x77)
		fill(want[3000:3700], 0x78)
		clear(want[2<<20 : 3<<20])
		clear(want[4<<20 : 4<<20+64<<10])
		fill(want[10<<20:10<<20+64<<10], 0x79)
		expected := filepath.Join(t.TempDir(), "expected")
		if err := os.WriteFile(expected, want, 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", expected, export)
		if err := f.snapshotNamed(d.ID, "of-"+string(m)); err != nil {
			t.Fatal(err)
		}
		run(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", expected, uri("snapshot/of-"+string(m)))
	}
	if out := run(t, "nbdinfo", "--list", uri("")); strings.Count(out, "export=") != 6 {
		t.Errorf("list:\n%s", out)
	}
}

// snapshotNamed makes a snapshot once the client that wrote is gone.
func (f *fixture) snapshotNamed(id pool.DiskID, name string) error {
	s, err := f.node.ReserveSnapshot(pool.Snapshot{Meta: pool.Meta[pool.SnapshotID]{Folder: "f", Name: name}, SourceDisk: id})
	if err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		_, release, err := f.node.UseDisk(id, true)
		if err == nil {
			release()
			break
		}
		<-tick.C
	}
	_, err = f.node.MakeSnapshot(f.t.Context(), s.ID, nil)
	return err
}

func fill(p []byte, b byte) {
	for i := range p {
		p[i] = b
	}
}

func serve(t *testing.T, exports nbd.Exports) net.Addr {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := nbd.New(exports, nbd.Options{Arena: blockio.NewArena(32 << 20)})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l, nbd.Security{}); err != nbd.ErrClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return l.Addr()
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil || slices.Contains(args, "qemu-io") && bytes.Contains(out, []byte("failed")) {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func fails(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err == nil && !bytes.Contains(out, []byte("failed")) {
		t.Errorf("%s: done:\n%s", strings.Join(args, " "), out)
	}
}
