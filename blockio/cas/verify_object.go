package cas

import (
	"context"
	"errors"
)

// manifestCheck checks that all parts of a manifest can be read.
func manifestCheck(raw [16]byte) func(context.Context, *chunkVerifier, []byte) (verified, error) {
	return func(ctx context.Context, v *chunkVerifier, _ []byte) (r verified, err error) {
		id := ManifestID(raw)
		m, err := openManifest(ctx, v.store.opts.Volume, v.store.header.id, id)
		switch {
		case ctx.Err() != nil:
			return r, ctx.Err()
		case errors.Is(err, ErrNotFound):
			return r, nil // removed in the meantime
		case err != nil:
			r.add(id.object(), 0, -1, err)
			return r, nil
		}
		defer func() { err = errors.Join(err, m.close()) }()
		for at, err := range m.places(0) {
			if err != nil {
				r.add(id.object(), 0, -1, err)
				return r, nil
			}
			if err := v.opts.Limit.Wait(ctx, at.size()); err != nil {
				return r, err
			}
			if _, err := m.part(at); err != nil {
				r.add(id.object(), at.off, int64(at.size()), err)
			}
			r.bytes += int64(at.size())
		}
		return r, nil
	}
}

// segmentCheck checks a segment's directory and all its chunks.
func segmentCheck(id SegmentID) func(context.Context, *chunkVerifier, []byte) (verified, error) {
	return func(ctx context.Context, v *chunkVerifier, buf []byte) (r verified, err error) {
		dir, err := v.store.loadDirectory(ctx, id)
		switch {
		case ctx.Err() != nil:
			return r, ctx.Err()
		case v.removed(id):
			return r, nil
		case err != nil:
			r.add(id.object(), 0, -1, err)
			return r, nil
		}
		for at := 0; at < len(dir.entries); {
			n := batch(dir.entries[at:], len(buf))
			if err := v.verifyBatch(ctx, dir.id, dir.wants(at, n, buf), &r); err != nil {
				return r, err
			}
			at += n
		}
		if v.removed(id) {
			return verified{}, nil
		}
		return r, nil
	}
}

func (v *chunkVerifier) removed(id SegmentID) bool {
	_, there := v.store.segments.size(id)
	return !there
}

// batch is how many of the entries fit in a buffer when decoded.
func batch(entries []entry, most int) int {
	raw := 0
	for i, e := range entries {
		if raw += int(e.raw); raw > most {
			return i
		}
	}
	return len(entries)
}

// wants are n chunks from the one at, one after another in a buffer.
func (d *directory) wants(at, n int, buf []byte) []want {
	wants := make([]want, n)
	for i := range wants {
		e := d.entries[at+i]
		wants[i] = want{location: location{d.id, uint32(at + i), e}, dst: buf[:e.raw:e.raw]}
		buf = buf[e.raw:]
	}
	return wants
}

// verifyBatch reads some chunks of a segment at once; when that fails each of its own,
// to tell which are wrong. The error is that of the context.
func (v *chunkVerifier) verifyBatch(ctx context.Context, id SegmentID, wants []want, r *verified) error {
	stored := 0
	for _, w := range wants {
		stored += int(w.size())
	}
	if err := v.opts.Limit.Wait(ctx, stored); err != nil {
		return err
	}
	together := v.store.fetch(ctx, v.reads, wants) == nil
	for _, w := range wants {
		err := ctx.Err()
		if err != nil {
			return err
		}
		if !together {
			err = v.store.fetch(ctx, v.reads, []want{w})
		}
		if err == nil {
			if got := identify(w.dst); got != w.id {
				err = corrupt(id.object(), int64(w.off), "chunk is %v, expected %v", got, w.id)
			}
		}
		if err != nil {
			r.add(id.object(), int64(w.off), w.size(), err)
		}
		r.chunks++
		r.bytes += w.size()
	}
	return nil
}
