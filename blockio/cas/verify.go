package cas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blake3"
)

// Verify reads a whole image and checks the BLAKE3 of every chunk and the image's
// digest. It waits for the arena: the caller must hold none of its buffers.
func (s *Store) Verify(ctx context.Context, id ManifestID) error {
	return s.NewVerifier().Verify(ctx, id)
}

// Verifier verifies images one after another. It remembers which chunks it has read
// and found right, a bit for each: what images share is read once.
type Verifier struct {
	store *Store

	mu   sync.Mutex
	good map[SegmentID]ordinals // guarded by mu
}

// NewVerifier makes a Verifier that has read nothing yet.
func (s *Store) NewVerifier() *Verifier {
	return &Verifier{store: s, good: make(map[SegmentID]ordinals)}
}

// Verify is [Store.Verify] of one image, but for chunks that are known to be
// right. It is not to be called concurrently.
func (v *Verifier) Verify(ctx context.Context, id ManifestID) (err error) {
	im, err := v.store.OpenImage(ctx, id)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	defer func() { err = errors.Join(err, im.Close()) }()
	if err := v.verify(ctx, im); err != nil {
		return fmt.Errorf("verify image %v: %w", id, err)
	}
	return nil
}

func (v *Verifier) verify(ctx context.Context, im *Image) error {
	digester := NewDigester(im.Size())
	places := make(chan place)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(places)
		for at, err := range im.manifest.places(0) {
			if err != nil {
				return err
			}
			select {
			case places <- at:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	// Each reads and computes in turn.
	for range min(2*blockio.Processors(), 16) {
		g.Go(func() error {
			buf, err := im.store.opts.Arena.Get(ctx, WindowSize)
			if err != nil {
				return err
			}
			defer buf.Release()
			w := windowVerifier{Verifier: v, image: im, digester: digester, buf: buf.Bytes()}
			for at := range places {
				if err := w.verify(ctx, at); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	sum, err := digester.Sum()
	if err == nil && sum != im.Digest() {
		err = corrupt(im.manifest.head.id.object(), im.manifest.foot.size-manifestFooterSize+48, "digest %v, the image has %v", im.Digest(), sum)
	}
	return err
}

// windowVerifier is one worker of a Verifier.
type windowVerifier struct {
	*Verifier
	image     *Image
	digester  *Digester
	buf       []byte
	scratch   windowScratch
	locations []location
	wants     []want
}

func (w *windowVerifier) verify(ctx context.Context, at place) error {
	chunks, err := w.image.manifest.part(at) // not what is in memory of it
	if err != nil {
		return err
	}
	index := int64(at.window)
	canonical := w.image.manifest.head.cut == CanonicalCut()
	if err := w.locate(ctx, index, chunks); err != nil {
		return err
	}
	if canonical && w.knows(w.locations) {
		w.digester.add(index, w.scratch.digest(index, chunks))
		return nil
	}
	p := w.buf[:windowLen(w.image.Size(), index)]
	if err := w.read(ctx, index, chunks, p); err != nil {
		return err
	}
	found := w.scratch.chunksOf(CanonicalCut(), p)
	digest := w.scratch.digest(index, found)
	// What was cut anew and hashed is what there should be, or else chunk by
	// chunk.
	if !canonical || !slices.Equal(found, chunks) {
		if err := w.identify(chunks, p); err != nil {
			return err
		}
	}
	w.learn(w.locations)
	w.digester.add(index, digest)
	return nil
}

// locate finds the chunks of a window.
func (w *windowVerifier) locate(ctx context.Context, index int64, chunks []chunk) error {
	w.locations = w.locations[:0]
	for _, c := range chunks {
		loc, err := w.image.locate(ctx, c.id, c.len, index*WindowSize+int64(c.off), len(chunks) >= warmWants)
		if err != nil {
			return err
		}
		w.locations = append(w.locations, loc)
	}
	return nil
}

// read reads a window from the places of its chunks, whatever the store has in
// memory: these places are what is learned of.
func (w *windowVerifier) read(ctx context.Context, index int64, chunks []chunk, p []byte) error {
	for {
		end := uint32(0)
		w.wants = w.wants[:0]
		for i, c := range chunks {
			clear(p[end:c.off])
			end = c.off + c.len
			w.wants = append(w.wants, want{location: w.locations[i], dst: p[c.off:end], at: index*WindowSize + int64(c.off)})
		}
		clear(p[end:])
		err := w.store.fetch(ctx, w.image.reads, w.wants)
		if !errors.Is(err, errMoved) {
			return err
		}
		if err := w.locate(ctx, index, chunks); err != nil {
			return err
		}
	}
}

// identify checks the chunks of a window against its bytes.
func (w *windowVerifier) identify(chunks []chunk, p []byte) error {
	parts, ids := make([][]byte, len(chunks)), make([][32]byte, len(chunks))
	for i, c := range chunks {
		parts[i] = p[c.off : c.off+c.len]
	}
	blake3.SumMany(ids, parts)
	for i, c := range chunks {
		if got := chunkID(ids[i]); got != c.id {
			loc := w.locations[i]
			return corrupt(loc.segment.object(), int64(loc.off), "chunk is %v, expected %v", got, c.id)
		}
	}
	return nil
}

// knows says whether all of these chunks were found right.
func (v *Verifier) knows(locations []location) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !slices.ContainsFunc(locations, func(l location) bool { return !v.good[l.segment].has(l.ordinal) })
}

// learn notes that chunks were found right.
func (v *Verifier) learn(locations []location) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range locations {
		v.good[l.segment] = v.good[l.segment].with(l.ordinal)
	}
}

// ordinals are a set of chunks of a segment, a bit for each.
type ordinals []uint64

func (o ordinals) has(i uint32) bool { return int(i/64) < len(o) && o[i/64]>>(i%64)&1 != 0 }

func (o ordinals) with(i uint32) ordinals {
	if need := int(i/64) + 1; need > len(o) {
		o = append(o, make(ordinals, need-len(o))...)
	}
	o[i/64] |= 1 << (i % 64)
	return o
}
