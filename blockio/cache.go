package blockio

import (
	"container/list"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"sync"
)

// CacheOptions are options of a Cache; the zero value works.
type CacheOptions struct {
	// BlockSize is the length in bytes of what is read and kept at a time,
	// rounded up to a power of two of at least 512; 0 is 1 MiB. Those below
	// the package's BlockSize take as much memory.
	BlockSize int
	// MaxBlocks bounds the blocks kept; 0 is what fits into a quarter of the
	// arena, and at least two.
	MaxBlocks int
	// Direct is the length in bytes from which on a read goes straight into
	// the caller's memory, but for what is kept already; 0 is BlockSize.
	Direct int
	// ReadAhead is the most blocks that are read before they are asked for,
	// when small reads go on and on; 0 is none.
	ReadAhead int
}

func (o CacheOptions) withDefaults(arena *Arena) CacheOptions {
	if o.BlockSize <= 0 {
		o.BlockSize = 1 << 20
	}
	o.BlockSize = max(minCacheBlock, 1<<bits.Len(uint(o.BlockSize-1)))
	if o.MaxBlocks <= 0 {
		o.MaxBlocks = max(2, int(arena.Limit()/4/o.blockMemory()))
	}
	if o.Direct <= 0 {
		o.Direct = o.BlockSize
	}
	return o
}

// minCacheBlock is the shortest block of a cache.
const minCacheBlock = 512

// blockMemory is how much of the arena a block takes.
func (o CacheOptions) blockMemory() int64 { return max(BlockSize, int64(o.BlockSize)) }

// Cache makes few large reads of many small ones: an io.ReaderAt that reads its
// source in aligned blocks, each once however many ask for it at a time, keeps
// those used of late, and reads ahead of whoever reads on and on. Errors are the
// source's, and are not kept.
//
// Its memory is the arena's. It never waits for a buffer: without one it reads
// just what was asked. When others wait for the arena it drops its blocks.
type Cache struct {
	// Immutable.
	src   io.ReaderAt
	size  int64
	arena *Arena
	opts  CacheOptions
	stop  func() // of the arena's asking for memory

	loads sync.WaitGroup

	// mu is taken before the arena's own lock.
	mu     sync.Mutex
	closed bool
	blocks map[int64]*cacheBlock // by index
	uses   list.List             // of *cacheBlock, the one not used for longest first
	readers
}

// NewCache makes a cache over the first size bytes of src.
func NewCache(src io.ReaderAt, size int64, arena *Arena, opts CacheOptions) *Cache {
	c := &Cache{
		src: src, size: size, arena: arena, opts: opts.withDefaults(arena),
		blocks: make(map[int64]*cacheBlock), readers: newReaders(),
	}
	c.stop = arena.OnShortage(c.drop)
	return c
}

// ReadAt reads as io.ReaderAt says.
func (c *Cache) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: %w", off, errNegative)
	}
	if off >= c.size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > c.size-off {
		p, end = p[:c.size-off], io.EOF
	}
	small := len(p) < c.opts.Direct
	if !small {
		c.joinScan(off, int64(len(p)))
	}
	done := 0
	for done < len(p) {
		n, err := c.step(p[done:], off+int64(done), small)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, end
}

// Close drops all blocks, once what is being read has come. Later reads fail
// with fs.ErrClosed.
func (c *Cache) Close() error {
	c.stop()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.loads.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.blocks {
		c.remove(b)
	}
	return nil
}

// step reads some of p, the rest of a read that was small or not.
func (c *Cache) step(p []byte, off int64, small bool) (int, error) {
	b, n, err := c.find(p, off, small)
	if err != nil {
		return 0, err
	}
	if b == nil {
		return c.readSource(p[:n], off)
	}
	defer c.release(b)
	<-b.ready
	if b.err != nil {
		return 0, b.err
	}
	return copy(p, b.buf.Bytes()[off-c.start(b.index):]), nil
}

// find decides how to read at off: from a block, which it pins, or, with no
// block, n bytes straight from the source.
func (c *Cache) find(p []byte, off int64, small bool) (b *cacheBlock, n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, 0, fs.ErrClosed
	}
	index := c.index(off)
	b = c.blocks[index]
	if b == nil && (small || c.scan) {
		b = c.load(index)
	}
	if b != nil { // pinned first: reading ahead looks for memory
		c.uses.MoveToBack(b.use)
		b.refs++
	}
	if small {
		c.readAhead(index)
	}
	switch {
	case b != nil:
		return b, 0, nil
	case small:
		return nil, min(len(p), c.opts.BlockSize-int(off-c.start(index))), nil
	}
	end := off + int64(len(p))
	for next, last := index+1, c.index(end-1); next <= last; next++ {
		if c.blocks[next] != nil {
			end = c.start(next)
		}
	}
	return nil, int(end - off), nil
}

// readSource reads all of p, which the source should have.
func (c *Cache) readSource(p []byte, off int64) (int, error) {
	n, err := c.src.ReadAt(p, off)
	switch {
	case n == len(p):
		return n, nil
	case err == nil || err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, fmt.Errorf("read %d bytes at %d of %d: %w", len(p), off, c.size, err)
}
