package vmdk

import "github.com/blockmill/blockmill/blockio"

const (
	// readAhead is the most bytes of stored grains that are fetched at once.
	readAhead = 1 << 20
	// pageAlign is what direct reads ask of a buffer's address at most.
	pageAlign = blockio.BlockSize
	// maxSpare is how many buffers of one kind an extent keeps for reuse.
	maxSpare = 8
)

// buffers lends buffers to the readers of an extent: large ones of the arena
// while it has room, else small ones of its own. It never waits, for readers
// hold buffers of the arena already.
type buffers struct {
	arena *blockio.Arena
	small int
	spare chan []byte
}

// newBuffers makes buffers that have room for at least size bytes.
func newBuffers(arena *blockio.Arena, size int64) *buffers {
	return &buffers{arena: arena, small: int(size), spare: make(chan []byte, maxSpare)}
}

// buffer is what buffers lend, until release.
type buffer struct {
	bytes []byte
	from  *buffers
	arena *blockio.Buffer
}

// get lends a buffer of most bytes, or at least of the size that every buffer
// has.
func (b *buffers) get(most int) buffer {
	if most > b.small {
		if lent := b.arena.TryGet(most); lent != nil {
			return buffer{bytes: lent.Bytes(), arena: lent}
		}
	}
	select {
	case p := <-b.spare:
		return buffer{bytes: p, from: b}
	default:
		return buffer{bytes: make([]byte, b.small), from: b}
	}
}

func (b buffer) release() {
	if b.arena != nil {
		b.arena.Release()
		return
	}
	select {
	case b.from.spare <- b.bytes:
	default:
	}
}

// at is the buffer's room for bytes of the file from off on, where a direct
// read may put them.
func (b buffer) at(off int64) []byte { return b.bytes[off%pageAlign:] }
