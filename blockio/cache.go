package blockio

import (
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"sync"
)

// CacheOptions are options of a Cache; the zero value works.
type CacheOptions struct {
	// BlockSize is the length in bytes of what is read and kept at a time,
	// rounded up to a power of two of at least the package's BlockSize; 0 is
	// 1 MiB.
	BlockSize int
	// MaxBlocks bounds the blocks kept; 0 is what fits into a quarter of the
	// arena, and at least one.
	MaxBlocks int
}

func (o CacheOptions) withDefaults(arena *Arena) CacheOptions {
	if o.BlockSize <= 0 {
		o.BlockSize = 1 << 20
	}
	o.BlockSize = max(BlockSize, 1<<bits.Len(uint(o.BlockSize-1)))
	if o.MaxBlocks <= 0 {
		o.MaxBlocks = max(1, int(arena.Limit()/4/int64(o.BlockSize)))
	}
	return o
}

// Cache makes few large reads of many small ones: an io.ReaderAt that reads its
// source in aligned blocks, each once however many ask for it at a time, and
// keeps those used of late. Whole blocks that are not cached go straight into
// the caller's memory. Errors are not kept.
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

	// mu is taken before the arena's own lock.
	mu     sync.Mutex
	closed bool
	blocks map[int64]*cacheBlock // by index
	clock  []*cacheBlock         // the same, in the order of the clock's hand
	hand   int
}

// cacheBlock is a block that is read or being read. Its memory is released
// when refs is 0.
type cacheBlock struct {
	index int64
	buf   *Buffer
	ready chan struct{} // closed once it is read
	err   error         // of reading it; set before ready is closed

	// Guarded by the cache's mu.
	refs  int // users, and one for its place in the cache
	slot  int // in clock
	used  bool
	there bool // in the cache
}

// NewCache makes a cache over the first size bytes of src.
func NewCache(src io.ReaderAt, size int64, arena *Arena, opts CacheOptions) *Cache {
	c := &Cache{
		src: src, size: size, arena: arena, opts: opts.withDefaults(arena),
		blocks: map[int64]*cacheBlock{},
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
	done := 0
	for done < len(p) {
		n, err := c.step(p[done:], off+int64(done))
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, end
}

// Close drops all blocks. Reads under way end well, later ones fail.
func (c *Cache) Close() error {
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for len(c.clock) > 0 {
		c.remove(c.clock[0])
	}
	return nil
}

// step reads some of p, which lies inside the source.
func (c *Cache) step(p []byte, off int64) (int, error) {
	b, fresh, n, err := c.find(p, off)
	if err != nil {
		return 0, err
	}
	if b == nil {
		return c.readSource(p[:n], off)
	}
	defer c.release(b)
	if fresh {
		c.load(b)
	} else {
		<-b.ready
	}
	if b.err != nil {
		return 0, b.err
	}
	return copy(p, b.buf.Bytes()[off-c.start(b.index):]), nil
}

// find decides how to read at off: from a block, which it pins (fresh: which
// the caller must load), or, with no block, n bytes straight from the source.
func (c *Cache) find(p []byte, off int64) (b *cacheBlock, fresh bool, n int, err error) {
	index := off / int64(c.opts.BlockSize)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false, 0, fs.ErrClosed
	}
	if b = c.blocks[index]; b != nil {
		b.refs++
		b.used = true
		return b, false, 0, nil
	}
	if off == c.start(index) {
		for n < len(p) && c.blocks[index] == nil && len(p)-n >= c.length(index) {
			n += c.length(index)
			index++
		}
		if n > 0 {
			return nil, false, n, nil
		}
	}
	if buf := c.memory(); buf != nil {
		return c.insert(index, buf), true, 0, nil
	}
	return nil, false, min(len(p), int(c.start(index+1)-off)), nil
}

func (c *Cache) start(index int64) int64 { return index * int64(c.opts.BlockSize) }

// length is that of a block: the last one may be short.
func (c *Cache) length(index int64) int {
	return int(min(int64(c.opts.BlockSize), c.size-c.start(index)))
}

// memory finds a buffer for a block, the arena's or an older block's. The
// caller holds mu.
func (c *Cache) memory() *Buffer {
	if len(c.clock) < c.opts.MaxBlocks {
		if buf := c.arena.TryGet(c.opts.BlockSize); buf != nil {
			return buf
		}
	}
	// Two rounds of the hand: the first takes the marks of use away.
	for range 2 * len(c.clock) {
		c.hand = (c.hand + 1) % len(c.clock)
		b := c.clock[c.hand]
		if b.refs > 1 {
			continue
		}
		if b.used {
			b.used = false
			continue
		}
		buf := b.buf
		b.buf = nil
		c.remove(b)
		return buf
	}
	return nil
}

// insert places a block, pinned by the caller. The caller holds mu.
func (c *Cache) insert(index int64, buf *Buffer) *cacheBlock {
	b := &cacheBlock{
		index: index, buf: buf, ready: make(chan struct{}),
		refs: 2, slot: len(c.clock), used: true, there: true,
	}
	c.blocks[index] = b
	c.clock = append(c.clock, b)
	return b
}

// remove takes a block out of the cache; who uses it may go on. The caller
// holds mu.
func (c *Cache) remove(b *cacheBlock) {
	if !b.there {
		return
	}
	b.there = false
	delete(c.blocks, b.index)
	last := c.clock[len(c.clock)-1]
	c.clock[b.slot], last.slot = last, b.slot
	c.clock = c.clock[:len(c.clock)-1]
	c.unref(b)
}

// unref gives up one reference. The caller holds mu.
func (c *Cache) unref(b *cacheBlock) {
	b.refs--
	if b.refs == 0 && b.buf != nil {
		b.buf.Release()
	}
}

func (c *Cache) release(b *cacheBlock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unref(b)
}

// drop takes blocks of n bytes out of the cache, those in use included: their
// memory follows when their users are done.
func (c *Cache) drop(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; n > 0 && len(c.clock) > 0; n -= int64(c.opts.BlockSize) {
		c.hand %= len(c.clock)
		c.remove(c.clock[c.hand])
	}
}

// load reads a block and wakes those who wait for it.
func (c *Cache) load(b *cacheBlock) {
	defer close(b.ready)
	if _, b.err = c.readSource(b.buf.Bytes()[:c.length(b.index)], c.start(b.index)); b.err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.remove(b)
	}
}

// readSource reads all of p, which the source should have.
func (c *Cache) readSource(p []byte, off int64) (int, error) {
	n, err := c.src.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, fmt.Errorf("read %d bytes at %d of %d: %w", len(p), off, c.size, err)
}
