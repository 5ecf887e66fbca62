package vmdk

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/blockmill/blockmill/blockio"
)

// errStop ends a walk whose consumer wants no more.
var errStop = errors.New("stop")

// Extents yields what the tables say of a range: grains that are plain, stored
// compressed, zeroed or missing. An extent has a host offset only in an image
// in one file.
func (img *Image) Extents(ctx context.Context, off, length int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		if off < 0 || length < 0 || length > img.size-off {
			yield(blockio.Extent{}, fmt.Errorf("map vmdk image: %d bytes at %d: outside of the image", length, off))
			return
		}
		m := merger{yield: yield, next: off, end: off + length}
		for end := off + length; off < end; {
			e := img.extentAt(off)
			n := min(end, e.start+e.size) - off
			m.base, m.host = e.start, img.single
			if err := e.mapRange(ctx, off-e.start, n, &m); err != nil {
				if !errors.Is(err, errStop) {
					yield(blockio.Extent{}, err)
				}
				return
			}
			off += n
		}
		m.flush()
	}
}

// merger joins neighbouring runs and yields them as extents.
type merger struct {
	yield func(blockio.Extent, error) bool
	// next and end are the rest of the range, as guest offsets.
	next, end int64
	// base is the guest offset of the extent that adds runs now; host tells
	// whether its host offsets mean anything to the caller.
	base int64
	host bool

	current blockio.Extent
	stopped bool
}

// add takes the next run, which ends at an offset of the extent and began
// where the last one ended, or before the range.
func (m *merger) add(end int64, state blockio.State, host int64, compressed bool) error {
	end = min(m.base+end, m.end)
	if end <= m.next {
		return nil
	}
	e := blockio.Extent{Offset: m.next, Length: end - m.next, Host: host, State: state, Compressed: compressed}
	if !m.host {
		e.Host = blockio.NoHost
	}
	m.next = end
	c := &m.current
	joins := c.Length > 0 && c.State == e.State && c.Compressed == e.Compressed &&
		(c.Host == blockio.NoHost) == (e.Host == blockio.NoHost) &&
		(e.Host == blockio.NoHost || e.Host == c.Host+c.Length)
	if joins {
		c.Length += e.Length
		return nil
	}
	if !m.flush() {
		return errStop
	}
	*c = e
	return nil
}

// flush yields the current extent; it is false when no more is wanted.
func (m *merger) flush() bool {
	if m.current.Length > 0 && !m.stopped {
		m.stopped = !m.yield(m.current, nil)
		m.current = blockio.Extent{}
	}
	return !m.stopped
}

func (s *sparse) mapRange(ctx context.Context, off, length int64, m *merger) error {
	const none = blockio.NoHost
	tableBytes := entriesPerTable * s.grainBytes
	first, end := off/tableBytes, (off+length+tableBytes-1)/tableBytes
	return s.walk(ctx, s.gd, first, end, func(run tableRun) error {
		if run.entries == nil {
			return m.add((run.index+run.count)*tableBytes, blockio.Hole, none, false)
		}
		g := run.index * entriesPerTable
		entries := run.entries[:min(entriesPerTable, s.h.grains()-g)]
		if err := s.checkGrains(g, int64(run.sector)*sectorSize, entries); err != nil {
			return err
		}
		for i, e := range entries {
			grainEnd := (g + int64(i) + 1) * s.grainBytes
			state, host, compressed := blockio.Hole, none, false
			switch {
			case present(e) && s.h.compressed():
				state, compressed = blockio.Data, true
			case present(e):
				state = blockio.Data
				// The range may begin inside the grain.
				host = int64(e)*sectorSize + max(0, m.next-m.base-(grainEnd-s.grainBytes))
			case e == 1:
				state = blockio.Zero
			}
			if err := m.add(grainEnd, state, host, compressed); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *flat) mapRange(ctx context.Context, off, length int64, m *merger) error {
	src, ok := f.file.ReaderAt.(blockio.Mapper)
	if !ok {
		return m.add(off+length, blockio.Data, blockio.NoHost, false)
	}
	for e, err := range src.Extents(ctx, f.start+off, length) {
		if err != nil {
			return fmt.Errorf("map vmdk flat extent: %w", err)
		}
		if err := m.add(e.End()-f.start, e.State, blockio.NoHost, false); err != nil {
			return err
		}
	}
	return nil
}
