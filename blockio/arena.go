package blockio

import (
	"container/list"
	"context"
	"fmt"
	"math/bits"
	"runtime"
	"sync"
)

// Arena is the pool of page-aligned buffers that bounds the memory of a
// process. Buffers come in size classes, the powers of two from BlockSize up,
// and are accounted by the size of their class.
//
// Get is fair: callers are served in the order in which they came, and nobody,
// TryGet included, passes a caller that waits. A goroutine that calls Get must
// hold no buffer of the arena, else a full arena may wait for itself; whoever
// holds one uses TryGet and has a way to go on without.
//
// Memory that is handed out and memory kept for reuse are together at most the
// limit.
type Arena struct {
	// Immutable.
	limit    int64
	idleMost int64 // cap of idle

	mu       sync.Mutex
	inUse    int64 // bytes handed out or granted
	granted  int64 // of those, bytes of waiters that have not come for them
	idle     *idleMemory
	waiters  list.List // of *waiter, the longest waiting first
	reclaims map[*reclaimer]struct{}
}

// waiter is a Get that found no room. ready is closed once size is accounted
// to it.
type waiter struct {
	size  int64
	ready chan struct{}
}

// reclaimer is what OnShortage registers.
type reclaimer struct{ drop func(n int64) }

// maxClass bounds the size classes: the largest is BlockSize << (maxClass-1),
// far more than a machine has.
const maxClass = 40

// NewArena makes an arena of limit bytes. It takes memory from the system only
// when asked for buffers, and keeps at most half the limit for reuse, which goes
// when the arena is garbage.
func NewArena(limit int64) *Arena {
	limit = max(limit, BlockSize)
	a := &Arena{limit: limit, idleMost: limit / 2, idle: new(idleMemory), reclaims: map[*reclaimer]struct{}{}}
	runtime.AddCleanup(a, func(m *idleMemory) { unmapAll(m.shrink(0)) }, a.idle)
	return a
}

// Limit is the bound in bytes.
func (a *Arena) Limit() int64 { return a.limit }

// InUse is how many bytes are handed out.
func (a *Arena) InUse() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inUse
}

// Get hands out a buffer of n bytes, with any contents, and waits until the
// limit allows it. A size that the limit can never allow is an error at once.
func (a *Arena) Get(ctx context.Context, n int) (*Buffer, error) {
	class, size := sizeClass(n)
	if size > a.limit {
		return nil, fmt.Errorf("get buffer: %d bytes, the arena's limit is %d", n, a.limit)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("get buffer: %w", err)
	}
	a.mu.Lock()
	if a.waiters.Len() == 0 && a.inUse+size <= a.limit {
		return a.take(class, size, n)
	}
	w := &waiter{size: size, ready: make(chan struct{})}
	place := a.waiters.PushBack(w)
	short := a.inUse + size - a.limit
	holders := make([]*reclaimer, 0, len(a.reclaims))
	for r := range a.reclaims {
		holders = append(holders, r)
	}
	a.mu.Unlock()
	for _, r := range holders {
		r.drop(max(short, size))
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
		return nil, a.giveUp(ctx, place)
	}
	a.mu.Lock()
	a.inUse -= size // take accounts it again, under the same lock
	a.granted -= size
	return a.take(class, size, n)
}

// giveUp takes a waiter out of the queue, or gives back what it was granted.
func (a *Arena) giveUp(ctx context.Context, place *list.Element) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := place.Value.(*waiter)
	select {
	case <-w.ready:
		a.inUse -= w.size
		a.granted -= w.size
	default:
		a.waiters.Remove(place)
	}
	a.grant()
	return fmt.Errorf("get buffer: %w", context.Cause(ctx))
}

// TryGet is Get that returns nil instead of waiting: when the limit does not
// allow the buffer now, or others wait.
func (a *Arena) TryGet(n int) *Buffer {
	class, size := sizeClass(n)
	a.mu.Lock()
	if a.waiters.Len() > 0 || a.inUse+size > a.limit {
		a.mu.Unlock()
		return nil
	}
	b, err := a.take(class, size, n)
	if err != nil {
		return nil
	}
	return b
}

// take hands out a buffer; the caller holds mu, which take releases, and has
// seen that the limit allows it.
func (a *Arena) take(class int, size int64, n int) (*Buffer, error) {
	a.inUse += size
	if mem := a.idle.take(class); mem != nil {
		a.mu.Unlock()
		return &Buffer{arena: a, mem: mem, n: n}, nil
	}
	surplus := a.idle.shrink(a.limit - a.held())
	a.mu.Unlock()
	unmapAll(surplus)
	mem, err := mapMemory(int(size))
	if err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.inUse -= size
		a.grant()
		return nil, fmt.Errorf("get buffer: map %d bytes: %w", size, err)
	}
	return &Buffer{arena: a, mem: mem, n: n}, nil
}

// held is how many bytes of memory are handed out: what is granted has none yet, and
// takes what is idle first. The caller holds mu.
func (a *Arena) held() int64 { return a.inUse - a.granted }

// put takes back the memory of a buffer.
func (a *Arena) put(mem []byte) {
	class, size := sizeClass(len(mem))
	a.mu.Lock()
	a.inUse -= size
	a.idle.add(class, mem)
	a.grant()
	surplus := a.idle.shrink(min(a.idleMost, a.limit-a.held()))
	a.mu.Unlock()
	unmapAll(surplus)
}

// grant accounts room to waiters, in order, as far as it goes. The caller
// holds mu.
func (a *Arena) grant() {
	for e := a.waiters.Front(); e != nil; e = a.waiters.Front() {
		w := e.Value.(*waiter)
		if a.inUse+w.size > a.limit {
			return
		}
		a.inUse += w.size
		a.granted += w.size
		a.waiters.Remove(e)
		close(w.ready)
	}
}

// sizeClass is the class of n bytes and the size of its buffers.
func sizeClass(n int) (class int, size int64) {
	if n < 0 || n > BlockSize<<(maxClass-1) {
		panic(fmt.Sprintf("blockio: buffer of %d bytes", n))
	}
	class = bits.Len(uint(max(n, 1)-1) / BlockSize)
	return class, BlockSize << class
}

// OnShortage registers a holder of buffers that it can do without. When others
// wait, drop is called, by any goroutine and without the arena's lock, to
// release about n bytes, in time. The caller ends that with stop; a call of drop
// may still be under way then.
func (a *Arena) OnShortage(drop func(n int64)) (stop func()) {
	r := &reclaimer{drop: drop}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reclaims[r] = struct{}{}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.reclaims, r)
	}
}
