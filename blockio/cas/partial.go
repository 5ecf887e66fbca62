package cas

import (
	"context"
	"errors"
	"fmt"
	"sort"
)

// partial is a committed manifest of some windows of an image that is not
// complete. As an image of its own it has zeros in all others.
type partial struct {
	id      ManifestID
	windows windowSet // sorted
}

// has says whether the partial holds a window.
func (p *partial) has(index int64) bool {
	n := p.windows.len()
	i := sort.Search(n, func(i int) bool { return int64(p.windows.at(i).index) >= index })
	return i < n && int64(p.windows.at(i).index) == index
}

// absorb adds all windows of a partial.
func (m *manifestWriter) absorb(ctx context.Context, p *partial) (err error) {
	src, err := openManifest(ctx, m.volume, m.head.store, p.id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	i := 0
	for at, err := range src.places(0) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		chunks, err := src.part(at)
		if err != nil {
			return err
		}
		if err := m.put(ctx, int64(at.window), chunks, p.windows.at(i).digest); err != nil {
			return err
		}
		i++
	}
	return nil
}

// loadPartial reads a partial of an image of size bytes. Its chunks must be
// known: what was lost since it was written is put again, by beginning anew.
func (s *Store) loadPartial(ctx context.Context, id ManifestID, size int64) (p *partial, err error) {
	m, err := openManifest(ctx, s.opts.Volume, s.header.id, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	if m.head.size != size {
		return nil, corrupt(id.object(), 48, "virtual size %d, the draft has %d", m.head.size, size)
	}
	digest, done, err := s.windowDigests(ctx, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	p = &partial{id: id}
	for at, err := range m.places(0) {
		if err != nil {
			return nil, err
		}
		chunks, err := m.part(at)
		if err != nil {
			return nil, err
		}
		for _, c := range chunks {
			if _, err := s.index.resolve(ctx, c.id, true); err != nil {
				return nil, fmt.Errorf("chunk %v of window %d: %w", c.id, at.window, err)
			}
		}
		sum, err := digest(int64(at.window), chunks)
		if err != nil {
			return nil, err
		}
		p.windows.add(window{index: at.window, count: at.count, off: at.off, digest: sum})
	}
	return p, p.windows.sort()
}

// windowDigests gives the digests of a manifest's windows: from its chunks where
// those are the canonical ones, else from the bytes, read back.
func (s *Store) windowDigests(ctx context.Context, id ManifestID) (digest func(int64, []chunk) ([32]byte, error), done func() error, err error) {
	k := new(windowScratch)
	if s.header.cut == CanonicalCut() {
		return func(index int64, chunks []chunk) ([32]byte, error) {
			return k.digest(index, chunks), nil
		}, func() error { return nil }, nil
	}
	img, err := s.OpenImage(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	buf := make([]byte, WindowSize)
	return func(index int64, _ []chunk) ([32]byte, error) {
		p := buf[:windowLen(img.Size(), index)]
		if _, err := img.ReadAt(p, index*WindowSize); err != nil {
			return [32]byte{}, err
		}
		return k.digest(index, k.chunksOf(CanonicalCut(), p)), nil
	}, img.Close, nil
}
