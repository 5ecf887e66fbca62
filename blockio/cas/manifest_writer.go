package cas

import (
	"context"
	"fmt"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// manifestBuffer is about how much of a manifest is gathered before a write.
const manifestBuffer = 256 << 10

// manifestWriter writes one manifest. Parts are appended as windows arrive.
type manifestWriter struct {
	volume blockio.Volume
	head   manifestHead
	slab   *blockio.Buffer // of buf; nil without

	mu      sync.Mutex
	w       blockio.Writer // made for the first write; guarded by mu, as all below
	buf     []byte         // not written yet
	off     int64          // of buf in the object
	limit   int            // of buf before it is written
	windows windowSet
	chunks  int64
	data    int64
	err     error // spoils the manifest
}

func newManifestWriter(s *Store, size int64) (*manifestWriter, error) {
	id, err := s.ids.next()
	if err != nil {
		return nil, err
	}
	m := &manifestWriter{
		volume: s.opts.Volume,
		head:   manifestHead{store: s.header.id, id: id, size: size, cut: s.header.cut},
		limit:  manifestBuffer,
	}
	// A part is appended whole, so the buffer has room for one more. A full
	// arena is no reason to wait, nor to fail.
	if m.slab = s.opts.Arena.TryGet(manifestBuffer + maxPart); m.slab != nil {
		m.buf = m.slab.Bytes()[:0]
	}
	m.buf = append(m.buf, m.head.encode()...)
	return m, nil
}

// len is the number of windows so far.
func (m *manifestWriter) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.windows.len()
}

// put adds the part of a window.
func (m *manifestWriter) put(ctx context.Context, index int64, chunks []chunk, digest [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.windows.add(window{index: uint32(index), count: uint32(len(chunks)), off: m.off + int64(len(m.buf)), digest: digest})
	m.chunks += int64(len(chunks))
	for _, c := range chunks {
		m.data += int64(c.len)
	}
	m.buf = appendPart(m.buf, index, chunks)
	return m.drain(ctx)
}

// drain writes the buffer as far as it is full. Mu is held.
func (m *manifestWriter) drain(ctx context.Context) error {
	if len(m.buf) < m.limit {
		return nil
	}
	if err := m.begin(ctx); err != nil {
		return err
	}
	unit := m.w.Unit()
	m.limit = max(m.limit, unit)
	n := len(m.buf) / unit * unit
	if n == 0 {
		return nil
	}
	return m.write(n)
}

// begin makes the object's writer. Mu is held.
func (m *manifestWriter) begin(ctx context.Context) error {
	if m.err != nil || m.w != nil {
		return m.err
	}
	w, err := m.volume.Create(ctx, m.head.id.object())
	if err != nil {
		m.err = fmt.Errorf("begin manifest %v: %w", m.head.id, err)
		return m.err
	}
	m.w = w
	return nil
}

// write writes the first n bytes of the buffer. Mu is held.
func (m *manifestWriter) write(n int) error {
	if _, err := m.w.WriteAt(m.buf[:n], m.off); err != nil {
		m.err = fmt.Errorf("write manifest %v: %w", m.head.id, err)
		return m.err
	}
	m.off += int64(n)
	m.buf = append(m.buf[:0], m.buf[n:]...)
	return nil
}

// commit writes the directory and footer and makes the manifest durable.
func (m *manifestWriter) commit(ctx context.Context) (manifestFoot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return manifestFoot{}, m.err
	}
	if err := m.windows.sort(); err != nil {
		return manifestFoot{}, err
	}
	foot := manifestFoot{
		store: m.head.store, id: m.head.id, digest: sumImage(m.head.size, &m.windows),
		windows: int64(m.windows.len()), chunks: m.chunks, data: m.data,
	}
	foot.dirOff = alignUp(m.off+int64(len(m.buf)), pageSize)
	if err := m.pad(ctx, foot.dirOff); err != nil {
		return foot, err
	}
	if err := m.directory(ctx); err != nil {
		return foot, err
	}
	foot.size = alignUp(m.off+int64(len(m.buf))+manifestFooterSize, objectAlign)
	if err := m.pad(ctx, foot.size-manifestFooterSize); err != nil {
		return foot, err
	}
	m.buf = append(m.buf, foot.encode()...)
	if err := m.begin(ctx); err != nil {
		return foot, err
	}
	if err := m.write(len(m.buf)); err != nil {
		return foot, err
	}
	if err := m.w.Commit(ctx, foot.size); err != nil {
		return foot, fmt.Errorf("commit manifest %v: %w", m.head.id, err)
	}
	m.release()
	return foot, nil
}

// pad appends zeros up to an offset in the object, less than a page away.
func (m *manifestWriter) pad(ctx context.Context, off int64) error {
	m.buf = append(m.buf, make([]byte, off-m.off-int64(len(m.buf)))...)
	return m.drain(ctx)
}

// directory appends the pages of the directory.
func (m *manifestWriter) directory(ctx context.Context) error {
	places := make([]place, 0, pagePlaces)
	for i := range m.windows.len() {
		w := m.windows.at(i)
		places = append(places, place{window: w.index, count: w.count, off: w.off})
		if len(places) < pagePlaces && i < m.windows.len()-1 {
			continue
		}
		m.buf = appendPage(m.buf, places)
		places = places[:0]
		if err := m.drain(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *manifestWriter) release() {
	if m.slab != nil {
		m.slab.Release()
		m.slab, m.buf = nil, nil
	}
}

// abort drops the manifest; after a commit it does nothing.
func (m *manifestWriter) abort() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.release()
	if m.err == nil {
		m.err = ErrClosed
	}
	if m.w == nil {
		return nil
	}
	return m.w.Abort()
}
