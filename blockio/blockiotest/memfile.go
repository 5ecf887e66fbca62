package blockiotest

import (
	"io"
	"io/fs"
	"slices"

	"github.com/blockmill/blockmill/blockio"
)

// contents are the bytes of a file in blocks of blockio.BlockSize. A block is
// never changed once it is in place, so contents may be shared by copying the
// slice of blocks; nil is a block of zeros.
type contents struct {
	blocks [][]byte
	size   int64
}

func (c contents) clone() contents {
	return contents{blocks: slices.Clone(c.blocks), size: c.size}
}

func (c *contents) resize(size int64) {
	n := int((size + blockio.BlockSize - 1) / blockio.BlockSize)
	for len(c.blocks) < n {
		c.blocks = append(c.blocks, nil)
	}
	c.blocks = c.blocks[:n]
	if rest := int(size % blockio.BlockSize); rest != 0 && size < c.size && c.blocks[n-1] != nil {
		block := slices.Clone(c.blocks[n-1])
		clear(block[rest:])
		c.blocks[n-1] = block
	}
	c.size = size
}

func (c *contents) writeAt(p []byte, off int64) {
	if end := off + int64(len(p)); end > c.size {
		c.resize(end)
	}
	for len(p) > 0 {
		i, at := off/blockio.BlockSize, off%blockio.BlockSize
		block := make([]byte, blockio.BlockSize)
		copy(block, c.blocks[i])
		n := copy(block[at:], p)
		c.blocks[i] = block
		p, off = p[n:], off+int64(n)
	}
}

func (c *contents) readAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	done := 0
	for done < len(p) && off < c.size {
		i, at := off/blockio.BlockSize, off%blockio.BlockSize
		n := int(min(int64(len(p)-done), blockio.BlockSize-at, c.size-off))
		dst := p[done : done+n]
		if c.blocks[i] == nil {
			clear(dst)
		} else {
			copy(dst, c.blocks[i][at:])
		}
		done, off = done+n, off+int64(n)
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// inode is a file. Its fields are guarded by the mu of its memFS.
type inode struct {
	now    contents
	synced contents // as of the last sync
}

// memFile is an open file.
type memFile struct {
	fs    *memFS
	inode *inode
	name  string // as it was opened

	closed bool // guarded by fs.mu
}

var (
	_ blockio.Log    = (*memFile)(nil)
	_ blockio.Object = (*memFile)(nil)
)

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	op, fault, err := f.begin(OpWrite)
	defer f.fs.mu.Unlock()
	if err == nil {
		err = fault.failure(op)
	}
	n := len(p)
	switch {
	case err != nil && (fault == nil || fault.Kind != FaultShort):
		return 0, err
	case err != nil:
		n /= 2
	case fault != nil:
		p = flip(p)
	}
	f.inode.now.writeAt(p[:n], off)
	return n, err
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	op, fault, err := f.begin(OpRead)
	defer f.fs.mu.Unlock()
	if err == nil {
		err = fault.failure(op)
	}
	if err != nil && (fault == nil || fault.Kind != FaultShort) {
		return 0, err
	}
	if err != nil {
		n, _ := f.inode.now.readAt(p[:len(p)/2], off)
		return n, err
	}
	n, err := f.inode.now.readAt(p, off)
	if fault != nil {
		copy(p, flip(p[:n]))
	}
	return n, err
}

func (f *memFile) Truncate(size int64) error {
	op, fault, err := f.begin(OpTruncate)
	defer f.fs.mu.Unlock()
	if err == nil {
		err = fault.failure(op)
	}
	if err == nil {
		f.inode.now.resize(size)
	}
	return err
}

func (f *memFile) Sync() error {
	op, fault, err := f.begin(OpSync)
	defer f.fs.mu.Unlock()
	if err == nil {
		err = fault.failure(op)
	}
	if err == nil && !f.fs.drops(op) {
		f.inode.synced = f.inode.now.clone()
	}
	return err
}

func (f *memFile) SyncAll() error {
	op, fault, err := f.begin(OpSyncAll)
	defer f.fs.mu.Unlock()
	if err == nil {
		err = fault.failure(op)
	}
	if err == nil && !f.fs.drops(op) {
		f.fs.root.syncAll()
	}
	return err
}

func (f *memFile) Size() int64 {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.inode.now.size
}

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	f.fs.open--
	return nil
}

// begin is memFS.begin for an open file.
func (f *memFile) begin(kind OpKind) (Op, *Fault, error) {
	op, fault := f.fs.begin(kind, f.name)
	if f.closed {
		return op, fault, fs.ErrClosed
	}
	return op, fault, nil
}

// flipped is the bit that FaultFlip turns over.
const flipped = 0x10

// flip is p with a bit in its middle turned over.
func flip(p []byte) []byte {
	p = slices.Clone(p)
	if len(p) > 0 {
		p[len(p)/2] ^= flipped
	}
	return p
}
