package fetch

import (
	"io"

	"github.com/blockmill/blockmill/blockio"
)

// pagesShare is the part of the arena, one in so many, that the pages of a source
// may take.
const pagesShare = 16

// pages is a source for short reads far apart.
type pages struct {
	src   *Source
	cache *blockio.Cache
}

// Pages is the source for short reads far apart, such as those of tables among
// data: what these take is no sign that the bytes around it are wanted, and will be
// wanted again. It is fetched in pages of size bytes, rounded up to a power of two
// of at least 512, and kept where no data displaces it. What Pages returns may
// have a method Prefetch(off, length int64), which begins to fetch what will be
// read. It ends with the source.
func (s *Source) Pages(size int) io.ReaderAt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cache == nil || s.ctx.Err() != nil {
		return s
	}
	p := &pages{src: s, cache: s.newCache(blockio.CacheOptions{
		BlockSize: size, MaxBlocks: max(2, int(s.client.opts.Arena.Limit()/pagesShare)/max(size, blockio.BlockSize)), Direct: s.client.opts.BlockSize,
	})}
	s.paged = append(s.paged, p.cache)
	return p
}

// ReadAt reads as io.ReaderAt says.
func (p *pages) ReadAt(b []byte, off int64) (int, error) {
	p.Prefetch(off, int64(len(b)))
	return p.src.readAt(p.cache, b, off)
}

// Prefetch begins to fetch the pages of a range of the source.
func (p *pages) Prefetch(off, length int64) {
	if off >= 0 && length > 0 {
		p.cache.Prefetch(off, length)
	}
}
