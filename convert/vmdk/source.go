package vmdk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// source is one file of an image.
type source struct {
	io.ReaderAt
	size int64
	// index tells the files of an image apart in the table cache.
	index int
}

// readFull fills p from off. The range lies inside the file, so a short read
// means that the file has shrunk under its reader.
func (s source) readFull(p []byte, off int64) error {
	n, err := s.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read vmdk at offset %d: %w", off+int64(n), err)
}

const (
	pageSize = 32 << 10
	// maxPages bounds the table cache of an image to 2 MiB.
	maxPages = 64
)

// tableCache holds pages of the tables of an image's files. Pages go in the
// order in which they came. A page is read once, by the first who wants it.
type tableCache struct {
	mu    sync.Mutex
	pages map[pageKey]*page
	order []pageKey
}

type pageKey struct {
	file  int
	index int64
}

// page is immutable once done is closed.
type page struct {
	done chan struct{}
	data []byte
	err  error
}

func newTableCache() *tableCache {
	return &tableCache{pages: make(map[pageKey]*page, maxPages)}
}

// entries fills dst with the 32-bit entries at byte offset off, which lie
// inside the file and begin at a multiple of 4.
func (c *tableCache) entries(file source, off int64, dst []uint32) error {
	for len(dst) > 0 {
		data, err := c.page(file, off/pageSize)
		if err != nil {
			return err
		}
		data = data[off%pageSize:]
		n := min(len(dst), len(data)/entrySize)
		if n == 0 {
			return fmt.Errorf("read vmdk table at offset %d: %w", off, io.ErrUnexpectedEOF)
		}
		decodeEntries(dst[:n], data)
		dst = dst[n:]
		off += int64(n) * entrySize
	}
	return nil
}

// read fills p with the bytes at off, which lie inside the file.
func (c *tableCache) read(file source, p []byte, off int64) error {
	for len(p) > 0 {
		data, err := c.page(file, off/pageSize)
		if err != nil {
			return err
		}
		n := copy(p, data[off%pageSize:])
		p, off = p[n:], off+int64(n)
	}
	return nil
}

func decodeEntries(dst []uint32, p []byte) {
	for i := range dst {
		dst[i] = binary.LittleEndian.Uint32(p[i*entrySize:])
	}
}

func (c *tableCache) page(file source, index int64) ([]byte, error) {
	key := pageKey{file.index, index}
	c.mu.Lock()
	if pg, ok := c.pages[key]; ok {
		c.mu.Unlock()
		<-pg.done
		return pg.data, pg.err
	}
	pg := &page{done: make(chan struct{})}
	c.pages[key] = pg
	c.order = append(c.order, key)
	if len(c.order) > maxPages {
		delete(c.pages, c.order[0])
		c.order = append(c.order[:0], c.order[1:]...)
	}
	c.mu.Unlock()

	off := index * pageSize
	pg.data = make([]byte, min(pageSize, file.size-off))
	if pg.err = file.readFull(pg.data, off); pg.err != nil {
		c.forget(key, pg)
	}
	close(pg.done)
	return pg.data, pg.err
}

// forget drops a page that could not be read, so that the next reader tries
// again.
func (c *tableCache) forget(key pageKey, pg *page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pages[key] != pg {
		return
	}
	delete(c.pages, key)
	for i, k := range c.order {
		if k == key {
			c.order = append(c.order[:i], c.order[i+1:]...)
			return
		}
	}
}
