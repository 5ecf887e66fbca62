package convert

import (
	"context"
	"iter"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
)

// WindowSize is the length in bytes of the aligned parts that a guest's disk
// is carried in.
const WindowSize = cas.WindowSize

// mergeGap is the longest run without data that is read along with its
// neighbours: two reads cost more than the zeros between them.
const mergeGap = 64 << 10

// run is a run of guest bytes that must be read, [off, end).
type run struct{ off, end int64 }

// window is an aligned part of the guest's disk that holds data.
type window struct {
	index       int64
	off, length int64
	// runs are in order, disjoint, and inside the window.
	runs []run
}

func newWindow(index, size int64) window {
	off := index * WindowSize
	return window{index: index, off: off, length: min(WindowSize, size-off)}
}

func (w *window) end() int64 { return w.off + w.length }

// add notes data, which comes in order.
func (w *window) add(off, end int64) {
	if n := len(w.runs); n > 0 && off-w.runs[n-1].end <= mergeGap {
		w.runs[n-1].end = end
		return
	}
	w.runs = append(w.runs, run{off, end})
}

// data is the number of bytes that are read for the window.
func (w *window) data() int64 {
	var n int64
	for _, r := range w.runs {
		n += r.end - r.off
	}
	return n
}

// read fills p, which is as long as the window, with its guest bytes.
func (w *window) read(img Image, p []byte) error {
	at := int64(0)
	for _, r := range w.runs {
		off, end := r.off-w.off, r.end-w.off
		clear(p[at:off])
		if err := readFull(img, p[off:end], r.off); err != nil {
			return err
		}
		at = end
	}
	clear(p[at:])
	return nil
}

// windows yields the windows of an image that hold data, in order. The cost is
// that of the image's extents.
func windows(ctx context.Context, img Image) iter.Seq2[window, error] {
	return func(yield func(window, error) bool) {
		size := img.Size()
		cur := window{index: -1}
		for e, err := range Plan(ctx, img) {
			if err != nil {
				yield(window{}, err)
				return
			}
			if e.State != blockio.Data {
				continue
			}
			for off := e.Offset; off < e.End(); {
				if index := off / WindowSize; index != cur.index {
					if cur.index >= 0 && !yield(cur, nil) {
						return
					}
					cur = newWindow(index, size)
				}
				end := min(e.End(), cur.end())
				cur.add(off, end)
				off = end
			}
		}
		if cur.index >= 0 {
			yield(cur, nil)
		}
	}
}
