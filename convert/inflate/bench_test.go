package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"flag"
	"fmt"
	"go/build"
	"io"
	"os"
	"path/filepath"
	"testing"

	kflate "github.com/klauspost/compress/flate"
	kzlib "github.com/klauspost/compress/zlib"

	"github.com/blockmill/blockmill/convert/inflate"
)

var imagePath = flag.String("image", "", "raw disk image that the benchmarks take their clusters from, instead of the Go tree")

// benchBytes is how much a benchmark decodes in one round.
const benchBytes = 8 << 20

type cluster struct{ stream, guest []byte }

// clusters returns benchBytes of data cut into pieces of size and compressed at level 6; what does not shrink is left
// out, as writers of images do.
func clusters(b *testing.B, size int, compress func(testing.TB, int, []byte) []byte) []cluster {
	b.Helper()
	disk := goTree(b)
	if *imagePath != "" {
		disk = imageData(b, *imagePath)
	}
	var all []cluster
	for ; len(disk) >= size; disk = disk[size:] {
		if stream := compress(b, 6, disk[:size]); len(stream) < size {
			all = append(all, cluster{stream, disk[:size]})
		}
	}
	return all
}

// goTree returns program code and its tables, then source text, from the tree of the Go release in use.
func goTree(b *testing.B) []byte {
	root := build.Default.GOROOT
	program, err := os.ReadFile(filepath.Join(root, "bin", "go"))
	sources, _ := filepath.Glob(filepath.Join(root, "src", "cmd", "compile", "internal", "*", "*.go"))
	if err != nil || len(program) < benchBytes/2 || len(sources) == 0 {
		b.Skip("no Go tree with its programs")
	}
	disk := program[: benchBytes/2 : benchBytes/2]
	for _, name := range append(sources, filepath.Join(root, "src", "unicode", "tables.go")) {
		p, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		disk = append(disk, p[:min(len(p), benchBytes-len(disk))]...)
	}
	return disk
}

// imageData returns pieces of 2 MiB with data from all over an image.
func imageData(b *testing.B, path string) []byte {
	const piece = 2 << 20
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	var disk []byte
	for off := int64(0); off < info.Size()-piece && len(disk) < benchBytes; off += info.Size() / 64 / piece * piece {
		p := make([]byte, piece)
		if _, err := f.ReadAt(p, off); err != nil {
			b.Fatal(err)
		}
		if bytes.Count(p, []byte{0}) < piece/2 {
			disk = append(disk, p...)
		}
	}
	return disk
}

// A candidate decodes a stream that fills dst.
type candidate struct {
	name   string
	decode func(dst, src []byte) error
}

func candidates(b *testing.B) []candidate {
	var own inflate.Decoder
	portable := inflate.NewPortable()
	in := bytes.NewReader(nil)
	std, klauspost := flate.NewReader(in), kflate.NewReader(in)
	return append([]candidate{
		{"own", func(dst, src []byte) error { _, _, err := own.Raw(dst, src); return err }},
		{"portable", func(dst, src []byte) error { _, _, err := portable.Raw(dst, src); return err }},
		{"klauspost", func(dst, src []byte) error {
			in.Reset(src)
			if err := klauspost.(kflate.Resetter).Reset(in, nil); err != nil {
				return err
			}
			_, err := io.ReadFull(klauspost, dst)
			return err
		}},
		{"stdlib", func(dst, src []byte) error {
			in.Reset(src)
			if err := std.(flate.Resetter).Reset(in, nil); err != nil {
				return err
			}
			_, err := io.ReadFull(std, dst)
			return err
		}},
	}, cCandidates(b)...)
}

func zlibCandidates(b *testing.B) []candidate {
	var own inflate.Decoder
	in := bytes.NewReader(deflateZlib(b, 6, nil))
	std, err := zlib.NewReader(in)
	if err != nil {
		b.Fatal(err)
	}
	in.Reset(deflateZlib(b, 6, nil))
	klauspost, err := kzlib.NewReader(in)
	if err != nil {
		b.Fatal(err)
	}
	// One byte more than there is makes the readers verify their checksum.
	readAll := func(r io.Reader, dst []byte) error {
		if n, err := io.ReadFull(r, dst[:len(dst)+1]); err != io.ErrUnexpectedEOF || n != len(dst) {
			return fmt.Errorf("read %d bytes: %w", n, err)
		}
		return nil
	}
	return []candidate{
		{"own", func(dst, src []byte) error { _, _, err := own.Zlib(dst, src); return err }},
		{"klauspost", func(dst, src []byte) error {
			in.Reset(src)
			if err := klauspost.(kzlib.Resetter).Reset(in, nil); err != nil {
				return err
			}
			return readAll(klauspost, dst)
		}},
		{"stdlib", func(dst, src []byte) error {
			in.Reset(src)
			if err := std.(zlib.Resetter).Reset(in, nil); err != nil {
				return err
			}
			return readAll(std, dst)
		}},
	}
}

func compareCandidates(b *testing.B, size int, all []cluster, candidates []candidate) {
	dst := make([]byte, size, size+1)
	for _, c := range candidates {
		b.Run(fmt.Sprintf("size=%d/decoder=%s", size, c.name), func(b *testing.B) {
			b.SetBytes(int64(size * len(all)))
			for b.Loop() {
				for _, cluster := range all {
					if err := c.decode(dst, cluster.stream); err != nil {
						b.Fatal(err)
					}
				}
			}
			if last := all[len(all)-1]; !bytes.Equal(dst, last.guest) {
				b.Error("decoded something else")
			}
		})
	}
}

func BenchmarkRaw(b *testing.B) {
	for _, size := range []int{512, 4 << 10, 64 << 10, 2 << 20} {
		compareCandidates(b, size, clusters(b, size, deflate), candidates(b))
	}
}

func BenchmarkZlib(b *testing.B) {
	const grain = 64 << 10
	compareCandidates(b, grain, clusters(b, grain, deflateZlib), zlibCandidates(b))
}
