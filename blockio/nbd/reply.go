package nbd

import (
	"encoding/binary"

	"github.com/blockmill/blockmill/blockio"
)

// Sizes of the heads of replies in bytes.
//
//	simple:     magic 4, error 4, cookie 8
//	structured: magic 4, flags 2, type 2, cookie 8, length 4; then by type
//	  offset data:  offset 8, the data
//	  offset hole:  offset 8, length 4
//	  block status: context 4, then for each extent length 4, flags 4
//	  error:        error 4, length of the text 2, the text
//	  error offset: as error, then offset 8
const (
	simpleSize = 16
	chunkSize  = 20
	dataSize   = chunkSize + 8
	holeSize   = chunkSize + 12
	maxHead    = 64
)

// reply is a part of a reply on its way: a head, then bytes in memory or in a
// file.
type reply struct {
	head    [maxHead]byte
	headLen int
	body    []byte
	// fileOff and fileLen are the range of the device that follows the head,
	// when fileLen is not 0.
	fileOff, fileLen int64

	// What is given back when the reply is out, or never will be.
	buf  *blockio.Buffer
	done func()
}

func (p *reply) release() {
	if p.buf != nil {
		p.buf.Release()
	}
	if p.done != nil {
		p.done()
	}
}

func putSimple(p []byte, cookie uint64, no errno) int {
	binary.BigEndian.PutUint32(p, magicSimple)
	binary.BigEndian.PutUint32(p[4:], uint32(no))
	binary.BigEndian.PutUint64(p[8:], cookie)
	return simpleSize
}

// putChunk writes the head of a chunk with n bytes of payload.
func putChunk(p []byte, cookie uint64, flags, kind uint16, n int) int {
	binary.BigEndian.PutUint32(p, magicStructured)
	binary.BigEndian.PutUint16(p[4:], flags)
	binary.BigEndian.PutUint16(p[6:], kind)
	binary.BigEndian.PutUint64(p[8:], cookie)
	binary.BigEndian.PutUint32(p[16:], uint32(n))
	return chunkSize
}

// putData writes the head of a chunk of n bytes of data, which follow it.
func putData(p []byte, cookie uint64, flags uint16, off uint64, n int) int {
	putChunk(p, cookie, flags, chunkOffsetData, 8+n)
	binary.BigEndian.PutUint64(p[chunkSize:], off)
	return dataSize
}

func putHole(p []byte, cookie uint64, flags uint16, off uint64, n int) int {
	putChunk(p, cookie, flags, chunkOffsetHole, 12)
	binary.BigEndian.PutUint64(p[chunkSize:], off)
	binary.BigEndian.PutUint32(p[chunkSize+8:], uint32(n))
	return holeSize
}

// putError writes a chunk that ends a structured reply with an error.
func putError(p []byte, cookie uint64, no errno) int {
	text := no.Error()
	n := putChunk(p, cookie, chunkDone, chunkError, 6+len(text))
	binary.BigEndian.PutUint32(p[n:], uint32(no))
	binary.BigEndian.PutUint16(p[n+4:], uint16(len(text)))
	return n + 6 + copy(p[n+6:], text)
}

// putStatus writes the answer to a request without data: a structured chunk
// where only that may be, or tells more.
func (c *conn) putStatus(p []byte, r request, err error) int {
	if err == nil && r.cmd != cmdRead && r.cmd != cmdBlockStatus || !c.structured {
		no := errno(0)
		if err != nil {
			no = errnoOf(err)
		}
		return putSimple(p, r.cookie, no)
	}
	if err == nil {
		return putChunk(p, r.cookie, chunkDone, chunkNone, 0)
	}
	return putError(p, r.cookie, errnoOf(err))
}
