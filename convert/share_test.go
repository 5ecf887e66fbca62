package convert_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blockmill/blockmill/convert"
)

// slowWriter takes a second for each window, and knows how many came at a time.
type slowWriter struct{ now, most atomic.Int64 }

func (w *slowWriter) WriteAt(p []byte, _ int64) (int, error) {
	n := w.now.Add(1)
	defer w.now.Add(-1)
	for most := w.most.Load(); n > most && !w.most.CompareAndSwap(most, n); most = w.most.Load() {
	}
	time.Sleep(time.Second / 2)
	return len(p), nil
}

func (*slowWriter) Finish(context.Context) error { return nil }

// stuckImage gives no bytes until the gate is open.
type stuckImage struct {
	convert.Image
	gate chan struct{}
}

func (i stuckImage) ReadAt(p []byte, off int64) (int, error) {
	<-i.gate
	return i.Image.ReadAt(p, off)
}

// dense is an image with data in each of n windows.
func dense(n int64) convert.Image {
	pieces := make(map[int64]byte)
	for i := range n {
		pieces[i*convert.WindowSize] = 1
	}
	return newImage(n*convert.WindowSize, pieces)
}

// Copies that share have their windows in flight together; one that waits for its
// source counts for nothing after a while.
func TestShare(t *testing.T) {
	for name, c := range map[string]struct {
		share       func() *convert.Share
		busy, stuck int
		most        int64 // windows of one copy
	}{
		"none":              {func() *convert.Share { return nil }, 3, 0, 6},
		"one":               {func() *convert.Share { return convert.NewShare(8) }, 1, 0, 6},
		"four":              {func() *convert.Share { return convert.NewShare(8) }, 4, 0, 2},
		"too many":          {func() *convert.Share { return convert.NewShare(8) }, 12, 0, 1},
		"others are stuck":  {func() *convert.Share { return convert.NewShare(8) }, 1, 7, 6},
		"some are, two not": {func() *convert.Share { return convert.NewShare(8) }, 2, 7, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := convert.Options{Workers: 6, Share: c.share()}
				gate := make(chan struct{})
				var stuck, busy sync.WaitGroup
				for range c.stuck {
					stuck.Go(func() {
						var w slowWriter
						if err := convert.Copy(t.Context(), &w, stuckImage{dense(2), gate}, opts); err != nil {
							t.Error(err)
						}
					})
				}
				time.Sleep(time.Minute)
				writers := make([]slowWriter, c.busy)
				for i := range writers {
					busy.Go(func() {
						if err := convert.Copy(t.Context(), &writers[i], dense(24), opts); err != nil {
							t.Error(err)
						}
					})
				}
				time.Sleep(900 * time.Millisecond) // the first windows are behind
				for i := range writers {
					writers[i].most.Store(0)
				}
				time.Sleep(time.Second) // none is at its end
				for i := range writers {
					if got := writers[i].most.Load(); got != c.most {
						t.Errorf("copy %d has %d windows in flight, want %d", i, got, c.most)
					}
				}
				busy.Wait()
				close(gate)
				stuck.Wait()
			})
		})
	}
}
