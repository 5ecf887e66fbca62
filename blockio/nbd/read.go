package nbd

import (
	"io"

	"github.com/blockmill/blockmill/blockio"
)

const (
	// inlineRead is the largest read that the reading goroutine tries to answer
	// itself from memory.
	inlineRead = 32 << 10
	// fileRead is the least read that is worth handing a file to the socket.
	fileRead = 64 << 10
	// pieceSize bounds the chunks that a structured reply is sent in, and so
	// the buffer that a read takes.
	pieceSize = 1 << 20
)

// readInline answers a small read that needs no waiting, and says whether it
// did.
func (t *transmission) readInline(r request) bool {
	if t.dev.nowait == nil || r.n > inlineRead {
		return false
	}
	n, head := int(r.n), simpleSize
	if t.structured {
		head = dataSize
	}
	if len(t.answers)-t.filled < maxHead+n {
		t.flush()
	}
	p := t.answers[t.filled:]
	data := p[head : head+n]
	if !t.dev.nowait.ReadNoWait(data, int64(r.off)) {
		return false
	}
	switch {
	case !t.structured:
		putSimple(p, r.cookie, 0)
		t.filled += head + n
	case blockio.IsZero(data):
		t.filled += putHole(p, r.cookie, chunkDone, r.off, n)
	default:
		putData(p, r.cookie, chunkDone, r.off, n)
		t.filled += head + n
	}
	t.count(r, nil)
	return true
}

// readResident answers a large read of a file that is in memory by handing the
// file to the socket, and says whether it did.
func (t *transmission) readResident(r request) bool {
	if t.dev.sender == nil || t.out.raw == nil || r.n < fileRead || !t.dev.sender.Resident(int64(r.off), int64(r.n)) {
		return false
	}
	runs, err := t.runs(r)
	if err != nil {
		return false // a worker meets it again
	}
	t.flush()
	replies := make([]*reply, 0, len(runs))
	for i, e := range runs {
		p := &reply{}
		p.headLen = t.putRun(p.head[:], r, e, i == len(runs)-1)
		if e.State == blockio.Data {
			p.fileOff, p.fileLen = e.Offset, e.Length
		}
		replies = append(replies, p)
	}
	t.count(r, nil)
	t.out.send(replies...)
	return true
}

// maxRuns bounds the chunks of a structured reply; what is left is data.
const maxRuns = 256

// runs splits a read into what is data and what is zero, where the client
// understands that: else it is all data.
func (t *transmission) runs(r request) ([]blockio.Extent, error) {
	off, n := int64(r.off), int64(r.n)
	all := []blockio.Extent{{Offset: off, Length: n, State: blockio.Data}}
	if !t.structured || r.flags&reqDF != 0 || t.dev.mapper == nil || r.n < fileRead {
		return all, nil
	}
	var runs []blockio.Extent
	for e, err := range t.dev.mapper.Extents(t.life, off, n) {
		if err != nil {
			return nil, err
		}
		if len(runs) == maxRuns-1 {
			e = blockio.Extent{Offset: e.Offset, Length: off + n - e.Offset, State: blockio.Data}
		}
		if k := len(runs) - 1; k >= 0 && (runs[k].State == blockio.Data) == (e.State == blockio.Data) {
			runs[k].Length += e.Length
		} else {
			runs = append(runs, e)
		}
		if e.End() == off+n {
			break
		}
	}
	return runs, nil
}

// putRun writes the head of the part of a reply that a run is.
func (t *transmission) putRun(p []byte, r request, e blockio.Extent, last bool) int {
	flags := uint16(0)
	if last {
		flags = chunkDone
	}
	switch {
	case !t.structured:
		return putSimple(p, r.cookie, 0)
	case e.State != blockio.Data:
		return putHole(p, r.cookie, flags, uint64(e.Offset), int(e.Length))
	}
	return putData(p, r.cookie, flags, uint64(e.Offset), int(e.Length))
}

// read serves a read from a worker.
func (t *transmission) read(r request) {
	var runs []blockio.Extent
	err := t.atDevice(func() (err error) {
		runs, err = t.runs(r)
		return err
	})
	for i, e := range runs {
		if err != nil {
			break
		}
		err = t.readRun(r, e, i == len(runs)-1)
	}
	if err != nil {
		t.finish(r, err)
	}
}

// readRun sends a run of a read, in pieces where the protocol lets it. The last
// one ends the request.
func (t *transmission) readRun(r request, e blockio.Extent, last bool) error {
	piece := e.Length
	if e.State == blockio.Data && t.structured && r.flags&reqDF == 0 {
		piece = pieceSize
	}
	for end := e.End(); e.Offset < end; e.Offset += e.Length {
		e.Length = min(piece, end-e.Offset)
		final := last && e.End() == end
		p := &reply{}
		if e.State == blockio.Data {
			if err := t.readPiece(p, &e); err != nil {
				return err
			}
		}
		p.headLen = t.putRun(p.head[:], r, e, final)
		if final {
			t.count(r, nil)
			p.done = func() { t.retire(r) }
		}
		t.out.send(p)
		e.State = blockio.Data
	}
	return nil
}

// readPiece reads data into a buffer of the reply. What turns out to be zeros
// becomes a hole where the client understands that.
func (t *transmission) readPiece(p *reply, e *blockio.Extent) error {
	buf, err := t.server.opts.Arena.Get(t.life, int(e.Length))
	if err != nil {
		return err
	}
	data := buf.Bytes()
	err = t.atDevice(func() error { return t.readFull(data, e.Offset) })
	if err != nil {
		buf.Release()
		return err
	}
	if t.structured && blockio.IsZero(data) {
		buf.Release()
		e.State = blockio.Hole
		return nil
	}
	p.buf, p.body = buf, data
	return nil
}

// readFull reads all of p, which lies inside the device's size.
func (t *transmission) readFull(p []byte, off int64) error {
	n, err := t.dev.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
