package qcow2

import (
	"runtime"
	"unsafe"

	"github.com/blockmill/blockmill/blockio"
)

// bufferSource lends buffers for compressed data: an arena's, or one of a few
// of its own, for which callers wait. Whoever holds one of these waits for
// nothing but I/O.
type bufferSource struct {
	arena *blockio.Arena // or nil
	spare chan []byte    // each nil until first used
}

// buffer is memory on loan.
type buffer struct {
	lent *blockio.Buffer
	own  []byte
}

func newBufferSource(arena *blockio.Arena) *bufferSource {
	b := &bufferSource{arena: arena, spare: make(chan []byte, max(4, min(2*runtime.GOMAXPROCS(0), 32)))}
	for range cap(b.spare) {
		b.spare <- nil
	}
	return b
}

// take lends n bytes at a page's address, with any contents.
func (b *bufferSource) take(n int) (buffer, []byte) {
	if b.arena != nil {
		if lent := b.arena.TryGet(n); lent != nil {
			return buffer{lent: lent}, lent.Bytes()
		}
	}
	own := <-b.spare
	if cap(own) < n {
		own = pages(n)
	}
	return buffer{own: own}, own[:n]
}

// give takes a loan back.
func (b *bufferSource) give(loan buffer) {
	if loan.lent != nil {
		loan.lent.Release()
		return
	}
	b.spare <- loan.own
}

// pages is n bytes at an address that direct I/O takes.
func pages(n int) []byte {
	p := make([]byte, n+blockio.BlockSize)
	skip := -int(uintptr(unsafe.Pointer(&p[0]))) & (blockio.BlockSize - 1)
	return p[skip : skip+n : skip+n]
}
