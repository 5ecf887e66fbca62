package cas

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/blockmill/blockmill/blockio"
)

// chunkCache keeps decoded chunks that small reads asked for, of all images, so
// that the next small read of one costs little more than a copy. Each chunk is
// decoded once however many ask for it at a time.
//
// Its memory is the arena's. It never waits for a buffer, and drops chunks when
// others do.
type chunkCache struct {
	arena  *blockio.Arena
	stop   func() // of the arena's asking for memory
	next   atomic.Uint32
	shards [cacheShards]cacheShard
}

const cacheShards = 32

// cacheShard keeps the chunks of a part of all digests. A chunk's bytes are copied
// under its lock, held shared, so that no buffer is released while it is read.
type cacheShard struct {
	most int64 // of bytes

	mu     sync.RWMutex
	chunks map[chunkID]*cachedChunk // and those being loaded; guarded by mu
	clock  []*cachedChunk           // those that have a buffer, in the order of the hand; guarded by mu
	hand   int                      // guarded by mu
	bytes  int64                    // of all buffers; guarded by mu
	closed bool                     // guarded by mu
}

// cachedChunk is a chunk that is cached, or being loaded by whoever claimed it.
type cachedChunk struct {
	id   chunkID
	done chan struct{}   // closed when the claim is settled
	buf  *blockio.Buffer // nil while it is loaded; guarded by the shard's mu
	used atomic.Bool     // since the hand passed
}

// newChunkCache makes a cache of at most so many bytes.
func newChunkCache(arena *blockio.Arena, most int64) *chunkCache {
	c := &chunkCache{arena: arena}
	for i := range c.shards {
		c.shards[i].most = most / cacheShards
		c.shards[i].chunks = make(map[chunkID]*cachedChunk)
	}
	c.stop = arena.OnShortage(c.drop)
	return c
}

// charge is what the arena takes for a buffer of n bytes, a power of two.
func charge(n int) int64 { return int64(max(blockio.BlockSize, 1<<bits.Len(uint(n-1)))) }

func (c *chunkCache) shard(id *chunkID) *cacheShard { return &c.shards[id[30]%cacheShards] }

// read copies a cached chunk's bytes from skip on to dst; false when it is not
// cached.
func (c *chunkCache) read(id *chunkID, dst []byte, skip int) bool {
	s := c.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.chunks[*id]
	if k == nil || k.buf == nil {
		return false
	}
	if !k.used.Load() {
		k.used.Store(true)
	}
	copy(dst, k.buf.Bytes()[skip:])
	return true
}

// claim makes the caller the one who loads a chunk, who must settle the claim; or
// it returns what is closed when another's claim on it is settled.
func (c *chunkCache) claim(id chunkID) (claimed bool, settled <-chan struct{}) {
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.chunks[id]; k != nil {
		return false, k.done
	}
	s.chunks[id] = &cachedChunk{id: id, done: make(chan struct{})}
	return true, nil
}

// settle ends a claim, with the chunk in a buffer that becomes the cache's, or
// with nil.
func (c *chunkCache) settle(id chunkID, buf *blockio.Buffer) {
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.chunks[id]
	close(k.done)
	if buf == nil || s.closed {
		delete(s.chunks, id)
		if buf != nil {
			buf.Release()
		}
		return
	}
	k.buf = buf
	k.used.Store(true)
	s.clock = append(s.clock, k)
	s.bytes += charge(len(buf.Bytes()))
}

// memory finds a buffer for a chunk that will be settled, or nil when it cannot
// be cached.
func (c *chunkCache) memory(id chunkID, n int) *blockio.Buffer {
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if charge(n) > s.most {
		return nil
	}
	s.shrink(s.most - charge(n))
	return c.arena.TryGet(n)
}

// shrink drops chunks until at most so many bytes are left, those first that
// nobody read since the hand last passed. Mu is held.
func (s *cacheShard) shrink(most int64) (freed int64) {
	before := s.bytes
	for s.bytes > most && len(s.clock) > 0 {
		s.hand %= len(s.clock)
		k := s.clock[s.hand]
		if k.used.Swap(false) {
			s.hand++
			continue
		}
		last := len(s.clock) - 1
		s.clock[s.hand] = s.clock[last]
		s.clock[last] = nil
		s.clock = s.clock[:last]
		delete(s.chunks, k.id)
		s.bytes -= charge(len(k.buf.Bytes()))
		k.buf.Release()
	}
	return before - s.bytes
}

// drop gives about n bytes back to the arena.
func (c *chunkCache) drop(n int64) {
	for range cacheShards {
		s := &c.shards[c.next.Add(1)%cacheShards]
		s.mu.Lock()
		n -= s.shrink(max(0, s.bytes-n))
		s.mu.Unlock()
		if n <= 0 {
			return
		}
	}
}

// close drops everything. No read may be under way.
func (c *chunkCache) close() {
	c.stop()
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.closed = true
		s.shrink(0)
		s.mu.Unlock()
	}
}
