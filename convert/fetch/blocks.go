package fetch

import (
	"context"
	"math"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// directRead is the shortest read that is one request of its own. It need not be
// aligned: large reads of neighbours do not overlap.
const directRead = 256 << 10

// blocks makes large requests of small reads: it fetches aligned blocks, each
// once however many ask for it at a time, keeps those used of late, and fetches
// ahead of whoever reads on and on. Large reads go straight into the caller's
// memory, but for what is here already.
//
// Its memory is the arena's, and it never waits for it: without memory a read is
// a request of its own.
type blocks struct {
	// Immutable.
	fetch func(ctx context.Context, p []byte, off int64) error
	ctx   context.Context // of what is fetched ahead, and of waiting
	size  int64
	opts  *Options
	most  int // blocks
	stop  func()

	loads sync.WaitGroup

	// mu is taken before the arena's own lock.
	mu     sync.Mutex
	closed bool
	kept   map[int64]*block
	// clock orders blocks by their last use. Uses are seldom enough.
	clock int64
	// runs are the blocks that small reads have read on to, and how far ahead
	// of each is fetched.
	runs [4]run
	turn int // the run that is given up next
	// scan says that somebody reads all of the source in small pieces: then
	// large reads go through blocks too, so that both share what is fetched.
	scan bool
}

// run is a sequence of small reads.
type run struct {
	last  int64 // block; the next one goes on with the run
	ahead int   // blocks
	long  int   // blocks so far
}

// scanLength is how many blocks one after another make a scan.
const scanLength = 16

// block is a block that is here or being fetched. Guarded by the mutex of blocks.
type block struct {
	index int64
	buf   *blockio.Buffer
	ready chan struct{} // closed once it is here
	err   error         // of fetching it; set before ready is closed
	refs  int           // users, whoever fetches it, and one for its place
	used  int64         // clock of the last use
}

func newBlocks(ctx context.Context, opts *Options, size int64, fetch func(context.Context, []byte, int64) error) *blocks {
	b := &blocks{
		fetch: fetch, ctx: ctx, size: size, opts: opts, kept: make(map[int64]*block),
		most: max(2, int(opts.Arena.Limit()/4/int64(opts.BlockSize))),
	}
	for i := range b.runs {
		b.runs[i].last = -2
	}
	b.stop = opts.Arena.OnShortage(b.drop)
	return b
}

// read fills p, which lies inside the source.
func (b *blocks) read(p []byte, off int64) error {
	small := len(p) < directRead
	if !small && b.scanning() {
		b.prefetch(off, int64(len(p)))
	}
	for len(p) > 0 {
		n, err := b.step(p, off, small)
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

func (b *blocks) scanning() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.scan
}

// step reads some of p, the rest of a read that was small or not.
func (b *blocks) step(p []byte, off int64, small bool) (int, error) {
	bl, n, err := b.find(p, off, small)
	if err != nil {
		return 0, err
	}
	if bl == nil {
		return n, b.fetch(b.ctx, p[:n], off)
	}
	defer b.release(bl)
	select {
	case <-bl.ready:
	case <-b.ctx.Done():
		return 0, context.Cause(b.ctx)
	}
	if bl.err != nil {
		return 0, bl.err
	}
	return copy(p, bl.buf.Bytes()[off-b.start(bl.index):]), nil
}

// find decides how to read at off: from a block, which it pins, or with a request
// for n bytes.
func (b *blocks) find(p []byte, off int64, small bool) (bl *block, n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, 0, ErrClosed
	}
	index := off / int64(b.opts.BlockSize)
	bl = b.kept[index]
	if bl == nil && (small || b.scan) {
		bl = b.load(index)
	}
	if bl != nil { // pinned first: reading ahead looks for memory
		b.clock++
		bl.used = b.clock
		bl.refs++
	}
	if small {
		b.readAhead(index)
	}
	switch {
	case bl != nil:
		return bl, 0, nil
	case small:
		return nil, min(len(p), int(b.start(index+1)-off)), nil
	}
	end := off + int64(len(p))
	for next := index + 1; b.start(next) < end; next++ {
		if b.kept[next] != nil {
			end = b.start(next)
		}
	}
	return nil, int(end - off), nil
}

func (b *blocks) start(index int64) int64 { return index * int64(b.opts.BlockSize) }

// length is that of a block: the last one may be short.
func (b *blocks) length(index int64) int {
	return int(min(int64(b.opts.BlockSize), b.size-b.start(index)))
}

// load begins to fetch a block; nil without memory. The caller holds mu.
func (b *blocks) load(index int64) *block {
	buf := b.memory()
	if buf == nil {
		return nil
	}
	b.clock++
	bl := &block{index: index, buf: buf, ready: make(chan struct{}), refs: 2, used: b.clock}
	b.kept[index] = bl
	b.loads.Go(func() {
		defer b.release(bl)
		defer close(bl.ready)
		if bl.err = b.fetch(b.ctx, buf.Bytes()[:b.length(index)], b.start(index)); bl.err != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.remove(bl) // errors are not kept
		}
	})
	return bl
}

// put places a block that is here already.
func (b *blocks) put(index int64, p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if buf := b.memory(); buf != nil {
		copy(buf.Bytes(), p)
		bl := &block{index: index, buf: buf, ready: make(chan struct{}), refs: 1}
		close(bl.ready)
		b.kept[index] = bl
	}
}

// memory finds a buffer for a block, the arena's or that of the block that was
// not used for longest. The caller holds mu.
func (b *blocks) memory() *blockio.Buffer {
	if len(b.kept) < b.most {
		if buf := b.opts.Arena.TryGet(b.opts.BlockSize); buf != nil {
			return buf
		}
	}
	var oldest *block
	for _, bl := range b.kept {
		if bl.refs == 1 && (oldest == nil || bl.used < oldest.used) {
			oldest = bl
		}
	}
	if oldest == nil {
		return nil
	}
	buf := oldest.buf
	oldest.buf = nil
	b.remove(oldest)
	return buf
}

// readAhead notes a small read of a block, and fetches what follows if the read
// goes on with a run: twice as far each time. The caller holds mu.
func (b *blocks) readAhead(index int64) {
	for i := range b.runs {
		r := &b.runs[i]
		if r.last == index {
			return
		}
		if r.last != index-1 {
			continue
		}
		r.last, r.ahead = index, min(max(1, 2*r.ahead), b.opts.ReadAhead, b.most/2)
		if r.long++; r.long == scanLength {
			b.scan = true
		}
		b.loadRange(index+1, index+1+int64(r.ahead))
		return
	}
	b.runs[b.turn] = run{last: index}
	b.turn = (b.turn + 1) % len(b.runs)
}

// beginScan makes blocks what all share: somebody reads the source from end to
// end.
func (b *blocks) beginScan() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scan = true
}

// prefetch begins to fetch all blocks of a range, as far as there is memory.
func (b *blocks) prefetch(off, length int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.loadRange(off/int64(b.opts.BlockSize), (off+length-1)/int64(b.opts.BlockSize)+1)
	}
}

// loadRange begins to fetch the blocks from first up to end, as far as there is
// memory. The caller holds mu.
func (b *blocks) loadRange(first, end int64) {
	for index := first; index < end && b.start(index) < b.size; index++ {
		if b.kept[index] != nil {
			continue
		}
		if b.load(index) == nil {
			return
		}
	}
}

// remove takes a block out; who uses it may go on. The caller holds mu.
func (b *blocks) remove(bl *block) {
	if b.kept[bl.index] == bl {
		delete(b.kept, bl.index)
		b.unref(bl)
	}
}

// unref gives up one reference. The caller holds mu.
func (b *blocks) unref(bl *block) {
	bl.refs--
	if bl.refs == 0 && bl.buf != nil {
		bl.buf.Release()
	}
}

func (b *blocks) release(bl *block) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unref(bl)
}

// drop gives up blocks of n bytes, those that are in use last: their memory
// follows when their users are done.
func (b *blocks) drop(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, most := range []int{1, math.MaxInt} {
		for _, bl := range b.kept {
			if n > 0 && bl.refs <= most {
				b.remove(bl)
				n -= int64(b.opts.BlockSize)
			}
		}
	}
}

// close drops all blocks. The context has ended, so what is being fetched ends.
func (b *blocks) close() {
	b.stop()
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.loads.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bl := range b.kept {
		b.remove(bl)
	}
}
