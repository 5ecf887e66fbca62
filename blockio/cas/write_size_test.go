package cas_test

import (
	"context"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

// longest is a volume that knows the longest write that it was asked for.
type longest struct {
	blockio.Volume

	mu sync.Mutex
	n  int // guarded by mu
}

func (v *longest) Create(ctx context.Context, name string) (blockio.Writer, error) {
	w, err := v.Volume.Create(ctx, name)
	return &longestWriter{w, v}, err
}

type longestWriter struct {
	blockio.Writer
	volume *longest
}

func (w *longestWriter) WriteAt(p []byte, off int64) (int, error) {
	w.volume.mu.Lock()
	w.volume.n = max(w.volume.n, len(p))
	w.volume.mu.Unlock()
	return w.Writer.WriteAt(p, off)
}

// Segments are written in pieces of the size that was asked for, and no shorter
// than BufferSize.
func TestWriteSize(t *testing.T) {
	const buffer = 512 << 10 // twice the longest chunk
	for name, c := range map[string]struct{ writeSize, want int }{
		"none":   {0, buffer},
		"short":  {64 << 10, buffer},
		"long":   {2 << 20, 2 << 20},
		"uneven": {buffer + 4<<10, buffer + 4<<10},
	} {
		t.Run(name, func(t *testing.T) {
			v := &longest{Volume: blockiotest.NewMemVolume()}
			opts := testOptions(v, t.TempDir())
			opts.BufferSize, opts.WriteSize = buffer, c.writeSize
			s := newStore(t, opts)
			p := guest(24<<20, 7)
			info := mustPut(t, s, "a", p)
			if v.n != c.want {
				t.Errorf("the longest write has %d bytes, want %d", v.n, c.want)
			}
			wantImage(t, s, info.ID, p)
		})
	}
}
