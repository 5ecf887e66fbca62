package nbd

import (
	"errors"
	"io"

	"github.com/blockmill/blockmill/blockio"
)

// work serves one request and answers it.
func (t *transmission) work(r request, buf *blockio.Buffer) {
	var err error
	switch r.cmd {
	case cmdRead:
		t.read(r)
		return
	case cmdBlockStatus:
		t.blockStatus(r)
		return
	case cmdWrite:
		err = t.change(r, func() error { return t.write(buf.Bytes(), int64(r.off)) })
		buf.Release()
	case cmdTrim:
		err = t.change(r, func() error { return t.trim(int64(r.off), int64(r.n)) })
	case cmdWriteZeroes:
		err = t.change(r, func() error { return t.writeZeroes(r) })
	case cmdFlush:
		err = t.atDevice(t.sync)
	case cmdCache:
		err = t.prefetch(int64(r.off), int64(r.n))
	}
	t.finish(r, err)
}

// finish answers a request without data.
func (t *transmission) finish(r request, err error) {
	p := &reply{done: func() { t.retire(r) }}
	p.headLen = t.putStatus(p.head[:], r, err)
	t.count(r, err)
	t.out.send(p)
}

// atDevice has a worker's place for the time of a call, which waits for no memory:
// those who have some wait for places.
func (t *transmission) atDevice(call func() error) error {
	t.server.workers <- struct{}{}
	defer func() { <-t.server.workers }()
	return call()
}

// change makes a change, durable with FUA.
func (t *transmission) change(r request, call func() error) error {
	if err := t.beginWrite(); err != nil {
		return err
	}
	return t.atDevice(func() error {
		err := call()
		if err == nil && r.fua() {
			err = t.sync()
		}
		return err
	})
}

// beginWrite asks once whether the connection may change the export.
func (t *transmission) beginWrite() error {
	if t.export.BeginWrite == nil || t.begun.Load() {
		return nil
	}
	t.beginning.Lock()
	defer t.beginning.Unlock()
	if t.begun.Load() {
		return nil
	}
	if err := t.export.BeginWrite(t.life); err != nil {
		return err
	}
	t.begun.Store(true)
	return nil
}

func (t *transmission) sync() error {
	if t.dev.writer == nil {
		return nil
	}
	return t.dev.writer.Sync()
}

func (t *transmission) write(p []byte, off int64) error {
	n, err := t.dev.writer.WriteAt(p, off)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}

// trim gives space back where the device can; it is a hint.
func (t *transmission) trim(off, n int64) error {
	if t.dev.punch == nil {
		return nil
	}
	err := t.dev.punch.PunchHole(off, n)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// writeZeroes zeroes a range in the way that the device does best.
func (t *transmission) writeZeroes(r request) error {
	off, n := int64(r.off), int64(r.n)
	err := errors.ErrUnsupported
	if t.dev.punch != nil && r.flags&reqNoHole == 0 {
		err = t.dev.punch.PunchHole(off, n)
	}
	if errors.Is(err, errors.ErrUnsupported) && t.dev.zero != nil {
		err = t.dev.zero.ZeroRange(off, n)
	}
	if !errors.Is(err, errors.ErrUnsupported) || r.flags&reqFastZero != 0 {
		return err
	}
	for n > 0 && t.life.Err() == nil {
		k := min(n, int64(len(zeros)))
		if err := t.write(zeros[:k], off); err != nil {
			return err
		}
		off, n = off+k, n-k
	}
	return t.life.Err()
}

// zeros is what a device is sent that cannot zero by itself.
var zeros [256 << 10]byte

// maxPrefetch bounds the bytes that one request reads ahead.
const maxPrefetch = 32 << 20

// prefetch reads ahead, or just reads, so that caches on the way have it.
func (t *transmission) prefetch(off, n int64) error {
	n = min(n, maxPrefetch)
	if t.dev.fetch != nil {
		return t.atDevice(func() error { return t.dev.fetch.Prefetch(off, n) })
	}
	buf, err := t.server.opts.Arena.Get(t.life, int(min(n, pieceSize)))
	if err != nil {
		return err
	}
	defer buf.Release()
	for p := buf.Bytes(); n > 0 && t.life.Err() == nil; {
		p = p[:min(n, int64(len(p)))]
		if err := t.atDevice(func() error { return t.readFull(p, off) }); err != nil {
			return err
		}
		off, n = off+int64(len(p)), n-int64(len(p))
	}
	return t.life.Err()
}
