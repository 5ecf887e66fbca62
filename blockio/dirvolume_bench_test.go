package blockio_test

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
)

// BenchmarkDirVolumeWrite commits objects of 64 MiB, two at a time, each
// written in order by the pieces of 4 MiB that one or two goroutines bring.
func BenchmarkDirVolumeWrite(b *testing.B) {
	const object, piece = 64 << 20, 4 << 20
	for _, writers := range []int{1, 2} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			dir, size := benchPlace(b)
			b.SetBytes(size)
			cpu := 0.0
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				sub := dir + "/" + strconv.Itoa(i)
				if err := os.Mkdir(sub, 0o700); err != nil {
					b.Fatal(err)
				}
				v, err := blockio.NewDirVolume(sub, blockio.DirVolumeOptions{})
				if err != nil {
					b.Fatal(err)
				}
				unix.Sync()
				before := cpuSeconds()
				b.StartTimer()
				var wg sync.WaitGroup
				for half := range int64(2) {
					wg.Go(func() {
						for n := half; n < size/object; n += 2 {
							w, err := v.Create(b.Context(), fmt.Sprintf("seg/%d", n))
							if err != nil {
								b.Error(err)
								return
							}
							transfer(b, object, piece, writers, func(p []byte, off int64) error {
								_, err := w.WriteAt(p, off)
								return err
							})
							if err := w.Commit(b.Context(), object); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				cpu += cpuSeconds() - before
				if err := os.RemoveAll(sub); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(cpu/float64(b.N), "cpu-s/op")
		})
	}
}
