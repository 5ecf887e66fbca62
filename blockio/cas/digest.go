package cas

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/blockmill/blockmill/blockio/blake3"
	zeebo "github.com/zeebo/blake3"
)

// Domains keep the digests of windows and images apart from those of chunks.
// They are part of the definition of the image digest (FORMAT.md).
const (
	windowDomain = "blockmill window digest 1\x00"
	imageDomain  = "blockmill image digest 1\x00"
)

// maxSize bounds the virtual size of an image: window indexes fit in 32 bits.
const maxSize = WindowSize << 32

// chunk is a span of a window and what it holds.
type chunk struct {
	span
	id chunkID
}

// windowScratch is the memory that one worker needs to digest a window.
type windowScratch struct {
	spans  []span
	parts  [][]byte
	ids    [][32]byte
	chunks []chunk
	msg    []byte
}

// chunksOf cuts and identifies a window's chunks. The result is valid until the
// next call.
func (s *windowScratch) chunksOf(cut Cut, window []byte) []chunk {
	s.spans = cut.appendSpans(s.spans[:0], window)
	s.parts = s.parts[:0]
	for _, sp := range s.spans {
		s.parts = append(s.parts, window[sp.off:sp.off+sp.len])
	}
	s.ids = slices.Grow(s.ids[:0], len(s.parts))[:len(s.parts)]
	blake3.SumMany(s.ids, s.parts)
	clear(s.parts) // the window is its owner's again
	s.chunks = s.chunks[:0]
	for i, sp := range s.spans {
		s.chunks = append(s.chunks, chunk{sp, s.ids[i]})
	}
	return s.chunks
}

// digest computes a window's digest from its canonical chunks.
func (s *windowScratch) digest(index int64, chunks []chunk) [32]byte {
	m := append(s.msg[:0], windowDomain...)
	m = binary.LittleEndian.AppendUint64(m, uint64(index))
	for _, c := range chunks {
		m = binary.LittleEndian.AppendUint32(m, c.off)
		m = binary.LittleEndian.AppendUint32(m, c.len)
		m = append(m, c.id[:]...)
	}
	s.msg = m
	return blake3.Sum256(m)
}

// window is what is kept of a non-empty window until its image is complete.
type window struct {
	index  uint32
	count  uint32 // chunks, by the store's cut
	off    int64  // of its part in the manifest
	digest [32]byte
}

// sumImage computes an image's digest from its windows, in their order.
func sumImage(size int64, windows *windowSet) Digest {
	h := zeebo.New()
	head := append([]byte(imageDomain), make([]byte, 8)...)
	binary.LittleEndian.PutUint64(head[len(imageDomain):], uint64(size))
	_, _ = h.Write(head) // a hash never fails
	var entry [8 + 32]byte
	for i := range windows.len() {
		w := windows.at(i)
		binary.LittleEndian.PutUint64(entry[:], uint64(w.index))
		copy(entry[8:], w.digest[:])
		_, _ = h.Write(entry[:])
	}
	return Digest(h.Sum(nil))
}

// Digester computes the digest of an image without a store. PutWindow may be
// called concurrently.
type Digester struct {
	size    int64
	scratch sync.Pool // of *windowScratch

	mu      sync.Mutex
	windows windowSet // guarded by mu
}

// NewDigester starts the digest of an image of size bytes.
func NewDigester(size int64) *Digester {
	return &Digester{size: size, scratch: sync.Pool{New: func() any { return new(windowScratch) }}}
}

// PutWindow adds the guest bytes of a window, like [ImageWriter.PutWindow].
func (d *Digester) PutWindow(index int64, p []byte) error {
	if err := checkWindow(d.size, index, len(p)); err != nil {
		return err
	}
	s := d.scratch.Get().(*windowScratch)
	defer d.scratch.Put(s)
	chunks := s.chunksOf(CanonicalCut(), p)
	if len(chunks) == 0 {
		return nil
	}
	d.add(index, s.digest(index, chunks))
	return nil
}

// add adds the digest of a window that has chunks.
func (d *Digester) add(index int64, digest [32]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.windows.add(window{index: uint32(index), digest: digest})
}

// Sum returns the digest of the image once all windows were put. It is an error
// when a window was put twice.
func (d *Digester) Sum() (Digest, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.windows.sort(); err != nil {
		return Digest{}, err
	}
	return sumImage(d.size, &d.windows), nil
}

// checkSize says whether an image may have a virtual size.
func checkSize(size int64) error {
	if size < 0 || size > maxSize {
		return fmt.Errorf("virtual size %d is not between 0 and %d", size, int64(maxSize))
	}
	return nil
}

// windowLen is the length of a window of an image, 0 when it has no such window.
func windowLen(size, index int64) int64 {
	if index < 0 || index >= (size+WindowSize-1)/WindowSize {
		return 0
	}
	return min(WindowSize, size-index*WindowSize)
}

var errWindow = errors.New("no such window")

func checkWindow(size, index int64, n int) error {
	if err := checkSize(size); err != nil {
		return err
	}
	switch want := windowLen(size, index); {
	case want == 0:
		return fmt.Errorf("window %d of an image of %d bytes: %w", index, size, errWindow)
	case int64(n) != want:
		return fmt.Errorf("window %d has %d bytes, got %d", index, want, n)
	}
	return nil
}
