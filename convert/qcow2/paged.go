package qcow2

import "io"

const (
	// longPage is how many bytes are fetched for a piece of a table that is in one
	// place, and for clusters that take less.
	longPage = 32 << 10
	// leavesAhead is how many L2 tables or refcount blocks are fetched before they
	// are read.
	leavesAhead = 16
)

// paged reads what is short: tables and lone clusters. Nothing is cached here, a
// source whose short reads are dear has pages for them. L2 tables and refcount
// blocks, which are leaves, stand among the data: each is a page, so that nothing
// is fetched for them but they themselves, and all kinds of walks find them again.
type paged struct {
	long   io.ReaderAt
	leaves io.ReaderAt
	ahead  prefetcher // of leaves; nil of a source that does not fetch
}

// pager is a source that fetches, and may do so in short pages.
type pager interface{ Pages(size int) io.ReaderAt }

// prefetcher can begin to read what will be asked for.
type prefetcher interface{ Prefetch(off, length int64) }

func newPaged(src io.ReaderAt, g *geometry) paged {
	p, ok := src.(pager)
	if !ok {
		return paged{long: src, leaves: src}
	}
	leaves := p.Pages(int(min(g.clusterSize, longPage)))
	ahead, _ := leaves.(prefetcher)
	return paged{p.Pages(longPage), leaves, ahead}
}

// readTable reads a piece of a table that is in one place.
func (im *Image) readTable(p []byte, off int64) error { return readFull(im.paged.long, p, off) }

// readLeaf reads a piece of an L2 table or a refcount block.
func (im *Image) readLeaf(p []byte, off int64) error { return readFull(im.paged.leaves, p, off) }

// readData reads clusters.
func (im *Image) readData(p []byte, off int64) error {
	if len(p) < longPage {
		return readFull(im.paged.long, p, off)
	}
	return readFull(im.src, p, off)
}

// prefetchLeaf says that a leaf will be read, if there is one at off.
func (im *Image) prefetchLeaf(off int64) {
	if g := im.geo; im.paged.ahead != nil && off > 0 && off <= g.fileSize-g.clusterSize {
		im.paged.ahead.Prefetch(off, min(g.clusterSize, longPage))
	}
}
