package convert_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// memImage is an image in memory. Extents are of one block each, so that
// everything that coalesces has something to do. Reads of blocks that are not
// data are counted: nobody should want them.
type memImage struct {
	*bytes.Reader
	states   []blockio.State // by block
	checkErr error
	readErr  error
	block    int64

	mu     sync.Mutex
	wasted int
}

const memBlock = 64 << 10

// newImage makes an image of size bytes from pieces: the byte b at offset off
// begins a data block filled with b.
func newImage(size int64, pieces map[int64]byte) *memImage {
	data := make([]byte, size)
	img := &memImage{block: memBlock, states: make([]blockio.State, (size+memBlock-1)/memBlock)}
	for off, b := range pieces {
		block := off / memBlock
		img.states[block] = blockio.Data
		part := data[block*memBlock : min((block+1)*memBlock, size)]
		for i := range part {
			part[i] = b
		}
	}
	img.Reader = bytes.NewReader(data)
	return img
}

func (m *memImage) bytes() []byte {
	p := make([]byte, m.Size())
	if _, err := m.Reader.ReadAt(p, 0); err != nil && !errors.Is(err, io.EOF) {
		panic(err)
	}
	return p
}

func (m *memImage) ReadAt(p []byte, off int64) (int, error) {
	if m.readErr != nil {
		return 0, m.readErr
	}
	if m.states[off/m.block] != blockio.Data {
		m.mu.Lock()
		m.wasted++
		m.mu.Unlock()
	}
	return m.Reader.ReadAt(p, off)
}

func (m *memImage) Check(context.Context, <-chan struct{}) error {
	return m.checkErr
}

func (m *memImage) Extents(ctx context.Context, off, length int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		for end := off + length; off < end; {
			if err := ctx.Err(); err != nil {
				yield(blockio.Extent{}, err)
				return
			}
			next := min((off/m.block+1)*m.block, end)
			e := blockio.Extent{Offset: off, Length: next - off, Host: blockio.NoHost, State: m.states[off/m.block]}
			if e.State == blockio.Data {
				e.Host = 2 * off
			}
			if !yield(e, nil) {
				return
			}
			off = next
		}
	}
}

// memWriter collects what a pipeline writes.
type memWriter struct {
	mu       sync.Mutex
	data     []byte
	writes   int
	finished bool
	err      error
}

func (w *memWriter) WriteAt(p []byte, off int64) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.writes++
	return copy(w.data[off:], p), nil
}

func (w *memWriter) Finish(context.Context) error {
	w.finished = true
	return nil
}
