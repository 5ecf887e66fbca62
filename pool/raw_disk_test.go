package pool_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
)

// A guest writes the head of a qcow2 with a backing file to its raw disk: the disk
// stays what it is for all who open it later, and is stored byte for byte.
func TestRawDiskStaysRaw(t *testing.T) {
	t.Parallel()
	s := makeStore(t, blockiotest.NewMemVolume())
	dir := t.TempDir()
	n := openDisks(t, s, dir, provision.Copy)
	img := makeImage(t, n, named("image"), "guest")
	d := createDisk(t, n, diskOf("disk", img.ID))
	head := make([]byte, 104, 512)
	copy(head, "QFI\xfb\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x68\x00\x00\x00\x0b\x00\x00\x00\x10\x00\x00\x10\x00")
	head = append(head, "/etc/passwd"...)
	path := filepath.Join(d.Dir, "disks", string(d.Backing)+".raw")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(head, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = openDisks(t, s, dir, provision.Copy)
	if d, err = n.GrowDisk(t.Context(), d.ID, d.Size+4<<20); err != nil || d.Format != convert.Raw {
		t.Fatalf("grow: format %s, %v", d.Format, err)
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(want, head) {
		t.Fatalf("the head is not there, %v", err)
	}
	if a, err := n.AttachDisk(d.ID); err != nil || a.Format != convert.Raw {
		t.Errorf("attach: %+v, %v", a, err)
	}
	if got := contentOf(t, n, d.ID); !bytes.Equal(got, want) {
		t.Error("opened, it has other bytes")
	}
	snap, err := n.ReserveSnapshot(pool.Snapshot{SourceDisk: d.ID})
	if err == nil {
		snap, err = n.MakeSnapshot(t.Context(), snap.ID, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := imageBytes(t, s, snap.Manifest); !bytes.Equal(got, want) {
		t.Error("a snapshot has other bytes")
	}
}
