package blockio

import "sync/atomic"

// Buffer is memory of an Arena, aligned to pages and so fit for direct I/O.
// Whoever got it owns it until Release.
type Buffer struct {
	arena    *Arena
	mem      []byte
	n        int
	released atomic.Bool
}

// Bytes is the memory, of the length asked for. It must not be used, nor Bytes
// called, after Release: the memory may be unmapped by then.
func (b *Buffer) Bytes() []byte {
	if b.released.Load() {
		panic("blockio: use of a released buffer")
	}
	return b.mem[:b.n]
}

// Release gives the memory back. A second Release panics.
func (b *Buffer) Release() {
	if b.released.Swap(true) {
		panic("blockio: buffer released twice")
	}
	b.arena.put(b.mem)
}
