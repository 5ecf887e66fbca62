package cas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/blockmill/blockmill/blockio"
)

// manifest is a committed manifest, open for reading. Its directory and parts
// are read when they are needed, and some pages of the directory are kept.
type manifest struct {
	obj  blockio.Object
	head manifestHead
	foot manifestFoot

	pages *memo[int64, []place]
}

// keptPages are kept of each open manifest: 1 MiB of directory.
const keptPages = 256

func newPages() *memo[int64, []place] {
	return newMemo[int64](keptPages, func([]place) int { return 1 })
}

func openManifest(ctx context.Context, v blockio.Volume, store StoreID, id ManifestID) (*manifest, error) {
	obj, err := v.Open(ctx, id.object())
	if errors.Is(err, blockio.ErrNotFound) {
		return nil, fmt.Errorf("open manifest %v: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open manifest %v: %w", id, err)
	}
	m := &manifest{obj: obj, pages: newPages()}
	if err := m.load(store, id); err != nil {
		return nil, errors.Join(fmt.Errorf("open manifest: %w", err), obj.Close())
	}
	return m, nil
}

func (m *manifest) load(store StoreID, id ManifestID) error {
	object, size := id.object(), m.obj.Size()
	if size < manifestHeaderSize+manifestFooterSize || size%objectAlign != 0 {
		return corrupt(object, 0, "length %d of a manifest", size)
	}
	err := readChecked(m.obj, object, make([]byte, manifestHeaderSize), 0, func(p []byte) (err error) {
		m.head, err = parseManifestHead(p, store, id)
		return err
	})
	if err != nil {
		return err
	}
	return readChecked(m.obj, object, make([]byte, manifestFooterSize), size-manifestFooterSize, func(p []byte) (err error) {
		m.foot, err = parseManifestFoot(p, m.head, size)
		return err
	})
}

// page returns page n of the directory.
func (m *manifest) page(n int64) ([]place, error) {
	return m.pages.get(n, func() (places []place, err error) {
		err = readChecked(m.obj, m.head.id.object(), make([]byte, pageSize), m.foot.dirOff+n*pageSize, func(p []byte) error {
			places, err = parsePage(p, m.head, m.foot, n)
			return err
		})
		return places, err
	})
}

// search returns the ordinal of the first place at or after a window, which is
// the number of places when there is none.
func (m *manifest) search(window int64) (int64, error) {
	lo, hi := int64(0), m.foot.pages()
	for lo < hi { // the first page that ends at or after the window
		mid := (lo + hi) / 2
		p, err := m.page(mid)
		if err != nil {
			return 0, err
		}
		if int64(p[len(p)-1].window) < window {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == m.foot.pages() {
		return m.foot.windows, nil
	}
	p, err := m.page(lo)
	if err != nil {
		return 0, err
	}
	i, _ := slices.BinarySearchFunc(p, window, func(pl place, w int64) int { return cmp.Compare(int64(pl.window), w) })
	return lo*pagePlaces + int64(i), nil
}

// places yields the places of windows from first on, in order.
func (m *manifest) places(first int64) iter.Seq2[place, error] {
	return func(yield func(place, error) bool) {
		i, err := m.search(first)
		if err != nil {
			yield(place{}, err)
			return
		}
		last := int64(-1)
		for ; i < m.foot.windows; i++ {
			p, err := m.page(i / pagePlaces)
			if err != nil {
				yield(place{}, err)
				return
			}
			at := p[i%pagePlaces]
			if int64(at.window) <= last { // a page checks itself, not its neighbours
				yield(place{}, corrupt(m.head.id.object(), m.foot.dirOff+i/pagePlaces*pageSize, "window %d after %d", at.window, last))
				return
			}
			last = int64(at.window)
			if !yield(at, nil) {
				return
			}
		}
	}
}

// part reads the chunks of a place.
func (m *manifest) part(at place) (chunks []chunk, err error) {
	object, limit := m.head.id.object(), windowLen(m.head.size, int64(at.window))
	err = readChecked(m.obj, object, make([]byte, at.size()), at.off, func(p []byte) error {
		chunks, err = parsePart(make([]chunk, 0, at.count), p, object, at, limit)
		return err
	})
	return chunks, err
}

// window reads the chunks of a window, none when it holds no data.
func (m *manifest) window(index int64) ([]chunk, error) {
	i, err := m.search(index)
	if err != nil || i == m.foot.windows {
		return nil, err
	}
	p, err := m.page(i / pagePlaces)
	if err != nil {
		return nil, err
	}
	if at := p[i%pagePlaces]; int64(at.window) == index {
		return m.part(at)
	}
	return nil, nil
}

func (m *manifest) close() error { return m.obj.Close() }
