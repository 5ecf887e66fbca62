package vmdk_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/vmdk"
)

// qemuImg runs qemu-img in a new directory that holds guest as guest.raw, and
// skips the test where there is none.
func qemuImg(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "qemu-img", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no qemu-img")
	}
	if err != nil {
		t.Fatalf("qemu-img %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// openDir opens an image that qemu-img made in dir: one file, or a descriptor
// and its extents.
func openDir(t *testing.T, dir, name string) *vmdk.Image {
	t.Helper()
	var extents []string
	files, err := filepath.Glob(filepath.Join(dir, "*-*.vmdk"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		extents = append(extents, filepath.Base(f))
	}
	return openCorpus(t, filepath.Join(dir, name), extents)
}

func TestReadsWhatQEMUWrites(t *testing.T) {
	guest := sample(33<<20 + 512*5)
	for _, options := range []string{
		"subformat=monolithicSparse", "subformat=monolithicSparse,zeroed_grain=on", "subformat=streamOptimized",
		"subformat=twoGbMaxExtentSparse", "subformat=monolithicFlat", "subformat=twoGbMaxExtentFlat",
	} {
		t.Run(options, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "guest.raw"), guest, 0o600); err != nil {
				t.Fatal(err)
			}
			qemuImg(t, dir, "convert", "-f", "raw", "-O", "vmdk", "-o", options, "guest.raw", "x.vmdk")
			img := openDir(t, dir, "x.vmdk")
			if err := img.Check(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			got, err := readAll(img, img.Size())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, guest) {
				t.Fatal("the bytes differ")
			}
			checkExtents(t, img, guest)
			if diff := cmp.Diff(qemuMap(t, dir, "x.vmdk"), ourMap(t, img)); diff != "" && !strings.Contains(options, "Flat") {
				t.Errorf("map differs (-qemu +ours):\n%s", diff)
			}
		})
	}
}

// mapped is an extent as both maps have it.
type mapped struct {
	Start, Length int64
	Data, Zero    bool
}

// qemuMap is qemu-img's map, neighbours of one state joined.
func qemuMap(t *testing.T, dir, name string) []mapped {
	t.Helper()
	var m []mapped
	if err := json.Unmarshal([]byte(qemuImg(t, dir, "map", "--output=json", name)), &m); err != nil {
		t.Fatal(err)
	}
	return joined(m)
}

func ourMap(t *testing.T, img *vmdk.Image) []mapped {
	t.Helper()
	var m []mapped
	for e, err := range img.Extents(t.Context(), 0, img.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		m = append(m, mapped{Start: e.Offset, Length: e.Length, Data: e.State == blockio.Data, Zero: e.State != blockio.Data})
	}
	return joined(m)
}

func joined(m []mapped) []mapped {
	var out []mapped
	for _, e := range m {
		if n := len(out); n > 0 && out[n-1].Data == e.Data && out[n-1].Zero == e.Zero {
			out[n-1].Length += e.Length
			continue
		}
		out = append(out, e)
	}
	return out
}

// TestZeroedGrains marks grains as zeros by writing zeros over them.
func TestZeroedGrains(t *testing.T) {
	dir := t.TempDir()
	qemuImg(t, dir, "create", "-f", "vmdk", "-o", "zeroed_grain=on", "x.vmdk", "8M")
	cmd := exec.CommandContext(t.Context(), "qemu-io", "-f", "vmdk", "-c", "write -P 7 0 1M", "-c", "write -z 256k 256k", "x.vmdk")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("qemu-io: %v: %s", err, out)
	}
	img := openDir(t, dir, "x.vmdk")
	if err := img.Check(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var zeros int64
	for e, err := range img.Extents(t.Context(), 0, img.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.State == blockio.Zero {
			zeros += e.Length
		}
	}
	if zeros != 256<<10 {
		t.Errorf("%d bytes of zeroed grains, want %d", zeros, 256<<10)
	}
	want := make([]byte, 8<<20)
	copy(want, bytes.Repeat([]byte{7}, 256<<10))
	copy(want[512<<10:], bytes.Repeat([]byte{7}, 512<<10))
	if got, err := readAll(img, img.Size()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the bytes differ, or %v", err)
	}
}

// TestRedundantDirectory breaks the second of an image's two directories.
func TestRedundantDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "guest.raw"), sample(33<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	qemuImg(t, dir, "convert", "-f", "raw", "-O", "vmdk", "guest.raw", "x.vmdk")
	file, err := os.ReadFile(filepath.Join(dir, "x.vmdk"))
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	redundant := int(le.Uint64(file[48:])) * sector
	table := int(le.Uint32(file[redundant:])) * sector
	for name, change := range map[string]func(p []byte){
		"an entry differs":     func(p []byte) { p[table+4]++ },
		"an entry is missing":  func(p []byte) { clear(p[table : table+4]) },
		"a table is missing":   func(p []byte) { clear(p[redundant : redundant+4]) },
		"a table of the first": func(p []byte) { copy(p[redundant:redundant+4], p[int(le.Uint64(p[56:]))*sector:]) },
	} {
		t.Run(name, func(t *testing.T) {
			broken := bytes.Clone(file)
			change(broken)
			if err := inspect(t.Context(), broken); !errors.Is(err, badimage.ErrCorrupt) {
				t.Errorf("got %v, want a corrupt image", err)
			}
		})
	}
	if err := inspect(t.Context(), file); err != nil {
		t.Error(err)
	}
}

// TestEmptyLargeImage reads the map of 8 TiB of nothing, whose tables are a
// gigabyte of holes.
func TestEmptyLargeImage(t *testing.T) {
	dir := t.TempDir()
	qemuImg(t, dir, "create", "-f", "vmdk", "x.vmdk", "8T")
	f, err := blockio.OpenDevice(filepath.Join(dir, "x.vmdk"), blockio.DeviceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := vmdk.Open(f, f.Size(), vmdk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := img.Check(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	want := []mapped{{Length: 8 << 40, Zero: true}}
	if diff := cmp.Diff(want, ourMap(t, img)); diff != "" {
		t.Error(diff)
	}
}
