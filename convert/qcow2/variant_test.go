package qcow2_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// variant is a way to make an image with QEMU's tools.
type variant struct {
	name    string
	options string // of qemu-img create -o
	cluster int64
	// after runs on the image once it has its content.
	after func(t *testing.T, image string)
}

var variants = []variant{
	{"default", "", 64 << 10, nil},
	{"cluster 512", "cluster_size=512", 512, nil},
	{"cluster 1k", "cluster_size=1k", 1 << 10, nil},
	{"cluster 4k", "cluster_size=4k", 4 << 10, nil},
	{"cluster 2M", "cluster_size=2M", 2 << 20, nil},
	{"version 2", "compat=0.10", 64 << 10, nil},
	{"version 2, cluster 4k", "compat=0.10,cluster_size=4k", 4 << 10, nil},
	{"refcount 1", "refcount_bits=1,cluster_size=4k", 4 << 10, nil},
	{"refcount 2", "refcount_bits=2,cluster_size=4k", 4 << 10, nil},
	{"refcount 4", "refcount_bits=4,cluster_size=4k", 4 << 10, nil},
	{"refcount 8", "refcount_bits=8", 64 << 10, nil},
	{"refcount 32", "refcount_bits=32,cluster_size=512", 512, nil},
	{"refcount 64", "refcount_bits=64,cluster_size=512", 512, nil},
	{"extended", "extended_l2=on", 64 << 10, nil},
	{"extended 16k", "extended_l2=on,cluster_size=16k", 16 << 10, nil},
	{"extended 2M", "extended_l2=on,cluster_size=2M", 2 << 20, nil},
	{"zstd", "compression_type=zstd", 64 << 10, nil},
	{"zstd extended", "compression_type=zstd,extended_l2=on", 64 << 10, nil},
	{"lazy", "lazy_refcounts=on", 64 << 10, nil},
	{"lazy killed", "lazy_refcounts=on", 64 << 10, kill},
	{"lazy killed 512", "lazy_refcounts=on,cluster_size=512", 512, kill},
	{"killed", "cluster_size=4k", 4 << 10, kill},
	{"preallocated metadata", "preallocation=metadata", 64 << 10, nil},
	{"preallocated metadata 512", "preallocation=metadata,cluster_size=512", 512, nil},
	{"preallocated falloc", "preallocation=falloc", 64 << 10, nil},
	{"preallocated full", "preallocation=full", 64 << 10, nil},
	{"preallocated extended", "preallocation=metadata,extended_l2=on", 64 << 10, nil},
	{"preallocated version 2", "preallocation=metadata,compat=0.10", 64 << 10, nil},
	{"snapshots", "", 64 << 10, snapshots},
	{"snapshots version 2", "compat=0.10", 64 << 10, snapshots},
	{"snapshots 512", "cluster_size=512", 512, snapshots},
	{"snapshots extended", "extended_l2=on", 64 << 10, snapshots},
	{"snapshots upgraded", "compat=0.10", 64 << 10, func(t *testing.T, image string) {
		snapshots(t, image)
		run(t, "qemu-img", "amend", "-f", "qcow2", "-o", "compat=1.1", image)
	}},
	{"downgraded", "", 64 << 10, func(t *testing.T, image string) {
		run(t, "qemu-img", "amend", "-f", "qcow2", "-o", "compat=0.10", image)
	}},
	{"refcounts widened", "", 64 << 10, func(t *testing.T, image string) {
		run(t, "qemu-img", "amend", "-f", "qcow2", "-o", "refcount_bits=64", image)
	}},
	{"bitmaps", "", 64 << 10, bitmaps},
	{"bitmaps 512", "cluster_size=512", 512, bitmaps},
	{"grown", "", 64 << 10, resize("+100M")},
	{"grown far", "cluster_size=512", 512, resize("+10G")},
	{"grown, metadata", "", 64 << 10, resize("--preallocation=metadata", "+3M")},
	{"grown, falloc", "", 64 << 10, resize("--preallocation=falloc", "+3M")},
	{"shrunk", "", 64 << 10, resize("--shrink", "1000k")},
	{"shrunk 512", "cluster_size=512", 512, resize("--shrink", "1000k")},
	{"rewritten plain", "", 64 << 10, rewrite()},
	{"rewritten zlib", "", 64 << 10, rewrite("-c")},
	{"rewritten zlib 512", "", 64 << 10, rewrite("-c", "-o", "cluster_size=512")},
	{"rewritten zlib 2M", "", 64 << 10, rewrite("-c", "-o", "cluster_size=2M")},
	{"rewritten zlib version 2", "", 64 << 10, rewrite("-c", "-o", "compat=0.10")},
	{"rewritten zstd", "", 64 << 10, rewrite("-c", "-o", "compression_type=zstd")},
	{"rewritten zstd 2M", "", 64 << 10, rewrite("-c", "-o", "compression_type=zstd,cluster_size=2M")},
	{"rewritten zstd 512", "", 64 << 10, rewrite("-c", "-o", "compression_type=zstd,cluster_size=512")},
	{"rewritten zlib extended", "", 64 << 10, rewrite("-c", "-o", "extended_l2=on")},
	{"rewritten, bitmaps and snapshot", "", 64 << 10, func(t *testing.T, image string) {
		rewrite("-c")(t, image)
		bitmaps(t, image)
		snapshots(t, image)
	}},
}

// kill writes more and ends QEMU without letting it finish.
func kill(t *testing.T, image string) {
	err := exec.Command("qemu-io", "-f", "qcow2", "-c", "write -P 9 2M 300k", "-c", "flush",
		"-c", "write -P 10 3M 5k", "-c", "abort", image).Run()
	if err == nil {
		t.Fatal("qemu-io was not killed")
	}
}

func snapshots(t *testing.T, image string) {
	run(t, "qemu-img", "snapshot", "-c", "first", image)
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -P 11 60k 200k", "-c", "discard 1M 256k", image)
	run(t, "qemu-img", "snapshot", "-c", "second, of a longer name", image)
	run(t, "qemu-img", "snapshot", "-d", "first", image)
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -P 12 3M 100k", image)
}

func bitmaps(t *testing.T, image string) {
	run(t, "qemu-img", "bitmap", "--add", image, "one")
	run(t, "qemu-img", "bitmap", "--add", "-g", "512", image, "another")
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -P 13 200k 100k", image)
}

func resize(args ...string) func(*testing.T, string) {
	return func(t *testing.T, image string) {
		last := len(args) - 1
		all := append([]string{"resize", "-f", "qcow2"}, args[:last]...)
		run(t, "qemu-img", append(all, image, args[last])...)
	}
}

func rewrite(args ...string) func(*testing.T, string) {
	return func(t *testing.T, image string) {
		out := image + ".new"
		all := append([]string{"convert", "-f", "qcow2", "-O", "qcow2"}, args...)
		run(t, "qemu-img", append(all, image, out)...)
		if err := os.Rename(out, image); err != nil {
			t.Fatal(err)
		}
	}
}

// makeVariant makes an image with content of every sort.
func makeVariant(t *testing.T, v variant) string {
	image := filepath.Join(t.TempDir(), "image")
	size := max(5<<20, 24*v.cluster) + 1536
	create := []string{"create", "-f", "qcow2"}
	if v.options != "" {
		create = append(create, "-o", v.options)
	}
	run(t, "qemu-img", append(create, image, fmt.Sprint(size))...)
	c := v.cluster
	content := []string{
		fmt.Sprintf("write -P 1 0 %d", 3*c),
		fmt.Sprintf("write -P 2 %d 512", 5*c+512),
		fmt.Sprintf("write -z %d %d", 7*c, 2*c),
		fmt.Sprintf("write -z -u %d %d", c, c),
		fmt.Sprintf("write -P 5 %d %d", 13*c, 4*c),
		fmt.Sprintf("discard %d %d", 14*c, c),
		fmt.Sprintf("write -P 6 %d 1536", size-1536),
		"write -P 7 1M 300k",
	}
	if !strings.Contains(v.options, "preallocation") { // QEMU compresses only what is not allocated
		content = append(content, fmt.Sprintf("write -c -P 3 %d %d", 10*c, c), fmt.Sprintf("write -c -P 4 %d %d", 11*c, c))
	}
	args := []string{"-f", "qcow2"}
	for _, command := range content {
		args = append(args, "-c", command)
	}
	run(t, "qemu-io", append(args, image)...)
	if v.after != nil {
		v.after(t, image)
	}
	return image
}

// TestVariants reads what QEMU makes in every way: nothing is refused, all
// bytes and extents are as QEMU has them.
func TestVariants(t *testing.T) {
	needQEMU(t)
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			image := makeVariant(t, v)
			im := openFile(t, image, qcow2.Options{})
			if err := im.Check(t.Context(), nil); err != nil {
				t.Fatalf("Check: %v", err)
			}
			if diff := cmp.Diff(mapOfQEMU(t, image), merged(t, im)); diff != "" {
				t.Errorf("extents (-QEMU +ours):\n%s", diff)
			}
			if im.Size() > 1<<30 {
				return
			}
			raw := image + ".raw"
			run(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, raw)
			if err := sameBytes(im, raw); err != nil {
				t.Error(err)
			}
		})
	}
}

// mapped is an entry of what qemu-img map prints.
type mapped struct {
	Start, Length       int64
	Present, Zero, Data bool
	Offset              *int64
}

// mapOfQEMU are QEMU's extents of an image, neighbours merged. Of preallocated
// images QEMU looks into the file's own holes, which are data here.
func mapOfQEMU(t *testing.T, image string) []blockio.Extent {
	t.Helper()
	var entries []mapped
	if err := json.Unmarshal(run(t, "qemu-img", "map", "-f", "qcow2", "--output=json", image), &entries); err != nil {
		t.Fatal(err)
	}
	var out []blockio.Extent
	for _, m := range entries {
		e := blockio.Extent{Offset: m.Start, Length: m.Length, Host: blockio.NoHost}
		switch {
		case m.Data:
			e.State = blockio.Data
			if m.Offset != nil {
				e.Host = *m.Offset
			}
		case m.Present:
			e.State = blockio.Zero
		}
		out = appendMerged(out, e)
	}
	return out
}

// merged are an image's extents. QEMU 7.2 does not say what is compressed.
func merged(t *testing.T, im *qcow2.Image) []blockio.Extent {
	var out []blockio.Extent
	for e, err := range im.Extents(t.Context(), 0, im.Size()) {
		if err != nil {
			t.Fatalf("Extents: %v", err)
		}
		if e.Compressed != (e.State == blockio.Data && e.Host == blockio.NoHost) {
			t.Errorf("compressed without a reason: %+v", e)
		}
		e.Compressed = false
		out = appendMerged(out, e)
	}
	return out
}

func appendMerged(out []blockio.Extent, e blockio.Extent) []blockio.Extent {
	if n := len(out); n > 0 {
		last := &out[n-1]
		if last.State == e.State && (last.Host == blockio.NoHost) == (e.Host == blockio.NoHost) &&
			(e.Host == blockio.NoHost || last.Host+last.Length == e.Host) {
			last.Length += e.Length
			return out
		}
	}
	return append(out, e)
}

// TestExtentsOfRanges compares the extents of odd ranges with those of all.
func TestExtentsOfRanges(t *testing.T) {
	f := forge()
	im, err := qcow2.Open(bytes.NewReader(f), int64(len(f)), qcow2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]int64{{0, forgedSize}, {1, 1}, {forgedCluster / 2, 3 * forgedCluster}, {0, 0}, {forgedSize, 0}, {4 * forgedCluster, 4 * forgedCluster}} {
		end := r[0]
		for e, err := range im.Extents(t.Context(), r[0], r[1]) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Offset != end {
				t.Errorf("range %v: extent at %d, want %d", r, e.Offset, end)
			}
			end = e.End()
		}
		if end != r[0]+r[1] {
			t.Errorf("range %v: extents end at %d", r, end)
		}
	}
	for _, r := range [][2]int64{{-1, 1}, {0, forgedSize + 1}, {forgedSize, 1}, {1, 1<<63 - 1}} {
		for _, err := range im.Extents(t.Context(), r[0], r[1]) {
			if err == nil {
				t.Errorf("range %v outside the image is no error", r)
			}
		}
	}
}
