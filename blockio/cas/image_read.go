package cas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// smallRead is the longest read whose chunks are cached whole; longer ones leave
// in the cache only those at their ends, of which they want a part.
const smallRead = 128 << 10

// warmWants is how many chunks of one read make it worth while to load the
// directories of their segments.
const warmWants = 8

// imageRead is the memory of one ReadAt.
type imageRead struct {
	wants []want
	later []awaited
}

// awaited is a want whose chunk another read is loading.
type awaited struct {
	want
	settled <-chan struct{}
}

func (im *Image) read(ctx context.Context, p []byte, off int64) error {
	if im.closed.Load() {
		return ErrClosed
	}
	r := im.store.imageReads.Get().(*imageRead)
	defer im.store.imageReads.Put(r)
	for {
		err := im.plan(r, p, off)
		n := len(r.wants)
		for err == nil && len(r.wants) > 0 {
			err = im.round(ctx, r, len(p) <= smallRead)
		}
		clear(r.wants[:n]) // p is the caller's again
		r.wants = r.wants[:0]
		if !errors.Is(err, errMoved) { // the next look finds the chunk's new place
			return err
		}
	}
}

// window returns the chunks of a window, in order. They are shared: callers only
// read them.
func (im *Image) window(index int64) ([]chunk, error) {
	return im.store.parts.get(partKey{im.manifest.head.id, index}, func() ([]chunk, error) {
		return im.manifest.window(index)
	})
}

// plan zeroes the gaps of a range, copies what is cached, and lists the chunks
// that fill the rest.
func (im *Image) plan(r *imageRead, p []byte, off int64) error {
	end, filled := off+int64(len(p)), off // all below filled is planned
	for index := off / WindowSize; index*WindowSize < end; index++ {
		chunks, err := im.window(index)
		if err != nil {
			return err
		}
		base := index * WindowSize
		first, _ := slices.BinarySearchFunc(chunks, off-base, func(c chunk, off int64) int {
			return cmp.Compare(int64(c.off)+int64(c.len), off+1) // the first that ends after off
		})
		for i := range chunks[first:] {
			c := &chunks[first+i]
			from, to := base+int64(c.off), base+int64(c.off)+int64(c.len)
			if from >= end {
				break
			}
			lo, hi := max(from, off), min(to, end)
			clear(p[filled-off : lo-off])
			filled = hi
			dst, skip := p[lo-off:hi-off], int(lo-from)
			if im.store.chunks.read(&c.id, dst, skip) {
				continue
			}
			r.wants = append(r.wants, want{location: location{entry: entry{id: c.id, raw: c.len}}, dst: dst, skip: skip, at: from})
		}
	}
	clear(p[filled-off:])
	return nil
}

// round goes through r.wants and leaves there those that other reads are loading
// and did not leave in the cache. It loads what it claimed before it waits for
// others, so that no two reads wait for each other.
func (im *Image) round(ctx context.Context, r *imageRead, small bool) error {
	cache := im.store.chunks
	mine := r.wants[:0]
	for _, w := range r.wants {
		if small || len(w.dst) < int(w.raw) {
			claimed, settled := cache.claim(w.id)
			if !claimed {
				r.later = append(r.later, awaited{w, settled})
				continue
			}
			w.claimed = true
		}
		mine = append(mine, w)
	}
	err := im.load(ctx, mine)
	for i := range mine {
		if mine[i].claimed {
			cache.settle(mine[i].id, nil)
		}
	}
	r.wants = mine[:0]
	for i := range r.later {
		w := &r.later[i]
		if err == nil {
			err = w.wait(ctx)
		}
		if err == nil && !cache.read(&w.id, w.dst, w.skip) {
			r.wants = append(r.wants, w.want)
		}
	}
	clear(r.later)
	r.later = r.later[:0]
	return err
}

func (w *awaited) wait(ctx context.Context) error {
	select {
	case <-w.settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// load finds and fetches chunks.
func (im *Image) load(ctx context.Context, wants []want) error {
	for i := range wants {
		w := &wants[i]
		loc, err := im.locate(ctx, w.id, w.raw, w.at, len(wants) >= warmWants)
		if err != nil {
			return err
		}
		w.location = loc
	}
	return im.store.fetch(ctx, im.reads, wants)
}

// locate finds a chunk of so many bytes that is at an offset of the image.
func (im *Image) locate(ctx context.Context, id chunkID, raw uint32, at int64, warm bool) (location, error) {
	loc, err := im.store.index.resolve(ctx, id, warm)
	if err != nil {
		return loc, fmt.Errorf("chunk %v at %d: %w", id, at, err)
	}
	if loc.raw != raw {
		return loc, corrupt(im.manifest.head.id.object(), 0, "chunk %v of %d bytes at %d, segment %v has %d", id, raw, at, loc.segment, loc.raw)
	}
	return loc, nil
}
