package blockio

import (
	"container/list"
	"math"
)

// cacheBlock is a block that is here or being read. Its memory is released when
// refs is 0.
type cacheBlock struct {
	index int64
	buf   *Buffer
	ready chan struct{} // closed once it is here
	err   error         // of reading it; set before ready is closed

	// Guarded by the cache's mu.
	refs int           // users, whoever reads it, and one for its place
	use  *list.Element // of the cache's uses, as long as it has its place
}

// index is the block that has an offset, start the offset where a block begins;
// after the last block that may be more than there is.
func (c *Cache) index(off int64) int64 { return off / int64(c.opts.BlockSize) }

func (c *Cache) start(index int64) int64 { return index * int64(c.opts.BlockSize) }

// length is that of a block: the last one may be short.
func (c *Cache) length(index int64) int {
	return int(min(int64(c.opts.BlockSize), c.size-c.start(index)))
}

// load begins to read a block; nil without memory. The caller holds mu.
func (c *Cache) load(index int64) *cacheBlock {
	buf := c.memory()
	if buf == nil {
		return nil
	}
	b := &cacheBlock{index: index, buf: buf, ready: make(chan struct{}), refs: 2}
	b.use = c.uses.PushBack(b)
	c.blocks[index] = b
	c.loads.Go(func() {
		defer close(b.ready)
		_, b.err = c.readSource(buf.Bytes()[:c.length(index)], c.start(index))
		c.mu.Lock()
		defer c.mu.Unlock()
		if b.err != nil {
			c.remove(b)
		}
		c.unref(b)
	})
	return b
}

// Put keeps bytes of the source that are here already: p is the block that begins
// at off, unless there is no memory for it.
func (c *Cache) Put(p []byte, off int64) {
	index := c.index(off)
	if off != c.start(index) || off >= c.size || len(p) != c.length(index) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.blocks[index] != nil {
		return
	}
	if buf := c.memory(); buf != nil {
		copy(buf.Bytes(), p)
		b := &cacheBlock{index: index, buf: buf, ready: make(chan struct{}), refs: 1}
		close(b.ready)
		b.use = c.uses.PushFront(b)
		c.blocks[index] = b
	}
}

// memory finds a buffer for a block, the arena's or that of the block that was
// not used for longest. The caller holds mu.
func (c *Cache) memory() *Buffer {
	if len(c.blocks) < c.opts.MaxBlocks {
		if buf := c.arena.TryGet(c.opts.BlockSize); buf != nil {
			return buf
		}
	}
	for use := c.uses.Front(); use != nil; use = use.Next() {
		if b := use.Value.(*cacheBlock); b.refs == 1 {
			buf := b.buf
			b.buf = nil
			c.remove(b)
			return buf
		}
	}
	return nil
}

// remove takes a block out of the cache; who uses it may go on. The caller
// holds mu.
func (c *Cache) remove(b *cacheBlock) {
	if c.blocks[b.index] == b {
		delete(c.blocks, b.index)
		c.uses.Remove(b.use)
		c.unref(b)
	}
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

// drop gives up blocks of n bytes, those that are in use last: their memory
// follows when their users are done.
func (c *Cache) drop(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, most := range []int{1, math.MaxInt} {
		for _, b := range c.blocks {
			if n > 0 && b.refs <= most {
				c.remove(b)
				n -= c.opts.blockMemory()
			}
		}
	}
}
