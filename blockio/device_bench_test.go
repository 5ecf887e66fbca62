package blockio_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
)

// Benchmarks of a Device. BLOCKIO_BENCH_DIR says where (a file system of
// interest; else the temporary directory), BLOCKIO_BENCH_MIB how much (else
// 64). The figures mean something from 1024 MiB on.
//
//	BLOCKIO_BENCH_DIR=/var/tmp BLOCKIO_BENCH_MIB=1024 go test -run '^$' \
//		-bench 'Device(Write|Read)' -benchtime 1x -count 7 ./blockio

func benchPlace(b *testing.B) (dir string, size int64) {
	b.Helper()
	dir, mib := b.TempDir(), 64
	if place := os.Getenv("BLOCKIO_BENCH_DIR"); place != "" {
		var err error
		if dir, err = os.MkdirTemp(place, "blockio-bench"); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { os.RemoveAll(dir) })
	}
	if s := os.Getenv("BLOCKIO_BENCH_MIB"); s != "" {
		var err error
		if mib, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	return dir, int64(mib) << 20
}

// transfer runs do for each piece of size bytes, some of them at a time, with
// a buffer of its own for each goroutine.
func transfer(b *testing.B, size, piece int64, workers int, do func(p []byte, off int64) error) {
	b.Helper()
	arena := blockio.NewArena(1 << 30)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			buf, err := arena.Get(b.Context(), int(piece))
			if err != nil {
				b.Error(err)
				return
			}
			defer buf.Release()
			p := buf.Bytes()
			_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
			for off := next.Add(piece) - piece; off < size; off = next.Add(piece) - piece {
				if err := do(p, off); err != nil && err != io.EOF {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// cpuSeconds is what the process has used.
func cpuSeconds() float64 {
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &ru)
	return float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e9
}

// BenchmarkDeviceWrite fills a sparse file to the disk: what counts is data
// that is durable in the end. "behind" is through the page cache with the
// write-back of each piece started at once.
func BenchmarkDeviceWrite(b *testing.B) {
	for _, c := range []struct {
		way     string
		mode    blockio.DirectMode
		piece   int64
		workers int
		alloc   bool
	}{
		{"auto", blockio.DirectAuto, 4 << 20, 4, false},
		{"auto", blockio.DirectAuto, 4 << 20, 8, false},
		{"auto", blockio.DirectAuto, 1 << 20, 8, false},
		{"auto", blockio.DirectAuto, 4 << 20, 4, true},
		{"auto", blockio.DirectAuto, 4 << 20, 8, true},
		{"behind", blockio.DirectOff, 4 << 20, 4, false},
		{"behind", blockio.DirectOff, 4 << 20, 8, false},
		{"behind", blockio.DirectOff, 4 << 20, 4, true},
		{"off", blockio.DirectOff, 4 << 20, 4, false},
		{"auto-uneven", blockio.DirectAuto, 33 << 10, 4, false},
	} {
		b.Run(fmt.Sprintf("%s/%dKiBx%d/alloc=%v", c.way, c.piece>>10, c.workers, c.alloc), func(b *testing.B) {
			dir, size := benchPlace(b)
			b.SetBytes(size)
			cpu := 0.0
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				unix.Sync()
				before := cpuSeconds()
				b.StartTimer()
				path := filepath.Join(dir, strconv.Itoa(i))
				d := openDevice(b, path, blockio.DeviceOptions{Direct: c.mode, Write: true, Create: true})
				if err := d.Truncate(4 * size); err != nil {
					b.Fatal(err)
				}
				if c.alloc {
					if err := d.Allocate(0, size); err != nil {
						b.Fatal(err)
					}
				}
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					b.Fatal(err)
				}
				transfer(b, size, c.piece, c.workers, func(p []byte, off int64) error {
					_, err := d.WriteAt(p, off)
					if err == nil && c.way == "behind" {
						err = unix.SyncFileRange(int(f.Fd()), off, int64(len(p)), unix.SYNC_FILE_RANGE_WRITE)
					}
					return err
				})
				if err := d.Sync(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				cpu += cpuSeconds() - before
				_ = f.Close()
				_ = d.Close()
				_ = os.Remove(path)
				b.StartTimer()
			}
			b.ReportMetric(cpu/float64(b.N), "cpu-s/op")
		})
	}
}

// BenchmarkDeviceRead reads a file that is in the page cache, is not, or is by
// half.
func BenchmarkDeviceRead(b *testing.B) {
	dir, size := benchPlace(b)
	path := filepath.Join(dir, "file")
	w := openDevice(b, path, blockio.DeviceOptions{Write: true, Create: true})
	transfer(b, size, 4<<20, 4, func(p []byte, off int64) error {
		_, err := w.WriteAt(p, off)
		return err
	})
	if err := w.Sync(); err != nil {
		b.Fatal(err)
	}
	for _, warm := range []struct {
		name string
		part int64 // of each 32 MiB this many are cached
	}{{"cold", 0}, {"half", 16}, {"warm", 32}} {
		for _, m := range directModes {
			for _, workers := range []int{2, 8} {
				b.Run(fmt.Sprintf("%s/mode=%s/workers=%d", warm.name, m.name, workers), func(b *testing.B) {
					b.SetBytes(size)
					d := openDevice(b, path, blockio.DeviceOptions{Direct: m.mode})
					cached := openDevice(b, path, blockio.DeviceOptions{Direct: blockio.DirectOff})
					cpu := 0.0
					for b.Loop() {
						b.StopTimer()
						dropCache(b, path)
						transfer(b, size, 1<<20, 4, func(p []byte, off int64) error {
							if off>>20%32 >= warm.part {
								return nil
							}
							_, err := cached.ReadAt(p, off)
							return err
						})
						before := cpuSeconds()
						b.StartTimer()
						transfer(b, size, 4<<20, workers, func(p []byte, off int64) error {
							_, err := d.ReadAt(p, off)
							return err
						})
						b.StopTimer()
						cpu += cpuSeconds() - before
						b.StartTimer()
					}
					b.ReportMetric(cpu/float64(b.N), "cpu-s/op")
				})
			}
		}
	}
}

// BenchmarkDeviceReadRandom reads pieces of a cold file in no order, none twice,
// at offsets on the grid of BlockSize.
func BenchmarkDeviceReadRandom(b *testing.B) {
	dir, size := benchPlace(b)
	path := filepath.Join(dir, "file")
	w := openDevice(b, path, blockio.DeviceOptions{Write: true, Create: true})
	transfer(b, size, 4<<20, 4, func(p []byte, off int64) error {
		_, err := w.WriteAt(p, off)
		return err
	})
	if err := w.Sync(); err != nil {
		b.Fatal(err)
	}
	for _, kib := range []int64{4, 16, 32, 64, 128} {
		for _, m := range directModes {
			b.Run(fmt.Sprintf("%dKiB/mode=%s", kib, m.name), func(b *testing.B) {
				n := kib << 10
				places := rand.New(rand.NewPCG(1, 1)).Perm(int(size / (2 * n)))
				part := int64(len(places)) / 8 * n
				b.SetBytes(part)
				d := openDevice(b, path, blockio.DeviceOptions{Direct: m.mode})
				cpu := 0.0
				for b.Loop() {
					b.StopTimer()
					dropCache(b, path)
					before := cpuSeconds()
					b.StartTimer()
					transfer(b, part, n, 8, func(p []byte, off int64) error {
						_, err := d.ReadAt(p, int64(places[off/n])*2*n+blockio.BlockSize)
						return err
					})
					b.StopTimer()
					cpu += cpuSeconds() - before
					b.StartTimer()
				}
				b.ReportMetric(cpu/float64(b.N), "cpu-s/op")
			})
		}
	}
}

// dropCache takes a file out of the page cache.
func dropCache(b *testing.B, path string) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		b.Fatal(err)
	}
}
