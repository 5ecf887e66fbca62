package blockio

// readers is what a cache knows of who reads its source in order. The cache's mu
// guards it.
type readers struct {
	// runs are the blocks that small reads have read on to, and how far ahead
	// of each is read.
	runs [4]run
	turn int // the run that is given up next
	// scan says that somebody reads all of the source in small pieces: then
	// large reads go through blocks too, so that both share what is read.
	scan bool
}

// run is a sequence of small reads.
type run struct {
	last  int64 // block; the next one goes on with the run
	ahead int   // blocks
	long  int   // blocks so far
}

func newReaders() readers {
	var r readers
	for i := range r.runs {
		r.runs[i].last = -2
	}
	return r
}

// scanLength is how many blocks one after another make a scan.
const scanLength = 16

// readAhead notes a small read of a block, and reads what follows if it goes on
// with a run: twice as far each time. The caller holds mu.
func (c *Cache) readAhead(index int64) {
	if c.opts.ReadAhead == 0 {
		return
	}
	for i := range c.runs {
		r := &c.runs[i]
		if r.last == index {
			return
		}
		if r.last != index-1 {
			continue
		}
		r.last, r.ahead = index, min(max(1, 2*r.ahead), c.opts.ReadAhead, c.opts.MaxBlocks/2)
		if r.long++; r.long == scanLength {
			c.scan = true
		}
		c.loadRange(index+1, index+1+int64(r.ahead))
		return
	}
	c.runs[c.turn] = run{last: index}
	c.turn = (c.turn + 1) % len(c.runs)
}

// Scan says that somebody reads the source from end to end, beside others: all
// reads go through blocks from now on.
func (c *Cache) Scan() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scan = true
}

// Prefetch begins to read all blocks of a range, as far as there is memory.
func (c *Cache) Prefetch(off, length int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loadRange(c.index(off), c.index(off+length-1)+1)
}

// joinScan begins to read all blocks of a large read when there is a scan.
func (c *Cache) joinScan(off, length int64) {
	c.mu.Lock()
	scan := c.scan
	c.mu.Unlock()
	if scan {
		c.Prefetch(off, length)
	}
}

// loadRange begins to read the blocks from first up to end, as far as there is
// memory. The caller holds mu.
func (c *Cache) loadRange(first, end int64) {
	end = min(end, c.index(c.size-1)+1)
	for index := first; index < end && !c.closed; index++ {
		if c.blocks[index] == nil && c.load(index) == nil {
			return
		}
	}
}
