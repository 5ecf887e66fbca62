package convert_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/blockmill/blockmill/convert"
)

func TestCopy(t *testing.T) {
	const window = convert.WindowSize
	tests := []struct {
		name   string
		size   int64
		pieces map[int64]byte
		writes int
	}{
		{"empty", 0, nil, 0},
		{"no data", 100 * window, nil, 0},
		{"first and last window", 3*window + 4096, map[int64]byte{0: 1, 3 * window: 2}, 2},
		{"scattered in one window", window, map[int64]byte{0: 1, 3 * memBlock: 2, window - memBlock: 3}, 1},
		{"across a border", 2 * window, map[int64]byte{window - memBlock: 1, window: 2}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			img := newImage(tt.size, tt.pieces)
			w := &memWriter{data: make([]byte, tt.size)}
			var done, total int64
			err := convert.Copy(t.Context(), w, img, convert.Options{Workers: 3, Progress: func(d, n int64) { done, total = d, n }})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(w.data, img.bytes()) {
				t.Error("the copy differs")
			}
			if w.writes != tt.writes || !w.finished {
				t.Errorf("%d writes, finished %v; want %d, true", w.writes, w.finished, tt.writes)
			}
			if img.wasted > 0 {
				t.Errorf("%d reads began where there is no data", img.wasted)
			}
			if done != total {
				t.Errorf("progress ended at %d of %d", done, total)
			}
		})
	}
}

// A copy that goes wrong must say why and never finish its image.
func TestCopyFails(t *testing.T) {
	errBroken := errors.New("broken")
	tests := []struct {
		name string
		set  func(img *memImage, w *memWriter)
	}{
		{"check", func(img *memImage, _ *memWriter) { img.checkErr = errBroken }},
		{"read", func(img *memImage, _ *memWriter) { img.readErr = errBroken }},
		{"write", func(_ *memImage, w *memWriter) { w.err = errBroken }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			img := newImage(20*convert.WindowSize, map[int64]byte{0: 1, 7 * convert.WindowSize: 2})
			w := &memWriter{data: make([]byte, img.Size())}
			tt.set(img, w)
			if err := convert.Copy(t.Context(), w, img, convert.Options{}); !errors.Is(err, errBroken) {
				t.Errorf("error %v, want %v", err, errBroken)
			}
			if w.finished {
				t.Error("finished")
			}
		})
	}
}

func TestCopyCancelled(t *testing.T) {
	img := newImage(20*convert.WindowSize, map[int64]byte{0: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := &memWriter{data: make([]byte, img.Size())}
	if err := convert.Copy(ctx, w, img, convert.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if w.finished {
		t.Error("finished")
	}
}
