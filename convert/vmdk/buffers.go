package vmdk

// maxSpare is how many buffers of one kind an extent keeps for its readers.
const maxSpare = 8

// buffers lends buffers of one size and keeps the ones that come back.
type buffers struct {
	size  int
	spare chan []byte
}

// readAhead is the most bytes of stored grains that are fetched at once.
const readAhead = 1 << 20

func newBuffers(size int64) *buffers {
	return &buffers{size: int(size), spare: make(chan []byte, maxSpare)}
}

func (b *buffers) get() []byte {
	select {
	case p := <-b.spare:
		return p
	default:
		return make([]byte, b.size)
	}
}

func (b *buffers) put(p []byte) {
	select {
	case b.spare <- p:
	default:
	}
}
