package qcow2_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// fuzzLimits keep the work on a small input small.
var fuzzLimits = qcow2.Options{MaxSize: 16 << 20}

func FuzzOpen(f *testing.F) {
	for _, image := range []forged{forge(), forgeExtended(), forgeZstd(f), forgeSnapshot(), forgeBitmap()} {
		f.Add([]byte(image))
	}
	for _, compression := range []qcow2.Compression{qcow2.None, qcow2.Zlib, qcow2.Zstd} {
		path := filepath.Join(f.TempDir(), "image")
		writeImage(f, path, mixture(6<<10, 3), qcow2.WriterOptions{ClusterSize: 512, Compression: compression})
		image, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(image)
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		_, err := readAll(t, bytes.NewReader(image), int64(len(image)), fuzzLimits)
		if err != nil && !badimage.Is(err) {
			t.Errorf("neither sound nor a bad image: %v", err)
		}
		// What is not trusted may be read all the same.
		if im, err := qcow2.Open(bytes.NewReader(image), int64(len(image)), fuzzLimits); err == nil {
			p := make([]byte, im.Size())
			if _, err := im.ReadAt(p, 0); err != nil && !badimage.Is(err) && im.Size() > 0 {
				t.Errorf("read: neither bytes nor a bad image: %v", err)
			}
		}
	})
}

// TestMutations changes sound images at random, in their tables for the most
// part. What is accepted must be what QEMU reads.
func TestMutations(t *testing.T) {
	needQEMU(t)
	images := []forged{forge(), forgeExtended(), forgeZstd(t), forgeSnapshot(), forgeBitmap()}
	rnd := rand.New(rand.NewPCG(7, 7))
	accepted := 0
	dir := t.TempDir()
	for i := range 3000 {
		image := bytes.Clone(images[i%len(images)])
		for range 1 + rnd.IntN(3) {
			image = mutate(rnd, image)
		}
		guest, err := readAll(t, bytes.NewReader(image), int64(len(image)), fuzzLimits)
		if err != nil {
			if !badimage.Is(err) {
				t.Fatalf("mutation %d: neither sound nor a bad image: %v", i, err)
			}
			continue
		}
		accepted++
		if accepted%8 != 0 {
			continue // to compare all takes too long
		}
		path, raw := filepath.Join(dir, "image"), filepath.Join(dir, "raw")
		if err := os.WriteFile(path, image, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw).CombinedOutput(); err != nil {
			t.Logf("mutation %d: sound here, refused by QEMU: %s", i, out)
			continue
		}
		want, err := os.ReadFile(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(guest, want) {
			t.Errorf("mutation %d: other bytes than QEMU's", i)
		}
	}
	if accepted == 0 {
		t.Error("no mutation was accepted: nothing was compared")
	}
}

// mutate changes a word of the header or of a table, a byte anywhere, or the
// length.
func mutate(rnd *rand.Rand, image []byte) []byte {
	if len(image) < 8*forgedCluster {
		return image
	}
	words := []int{0, forgedRefTable, forgedRefBlock, forgedL1, forgedL2, 9 * forgedCluster, 10 * forgedCluster}
	switch rnd.IntN(8) {
	case 0:
		image[rnd.IntN(len(image))] ^= 1 << rnd.IntN(8)
	case 1:
		return image[:len(image)-rnd.IntN(2*forgedCluster)]
	case 2, 3:
		off := words[rnd.IntN(len(words))] + 8*rnd.IntN(16)
		if off+8 <= len(image) {
			binary.BigEndian.PutUint64(image[off:], uint64(rnd.IntN(12))*forgedCluster|rnd.Uint64()&(copied|1))
		}
	default:
		off := words[rnd.IntN(len(words))] + rnd.IntN(136)
		if off < len(image) {
			image[off] ^= 1 << rnd.IntN(8)
		}
	}
	return image
}
