package server

import "encoding/binary"

// The frames of HTTP/2 that begin and end streams (RFC 9113, 4.1 and 6).
const (
	frameHeaderLen = 9 // length 3, type 1, flags 1, stream 4

	frameData      = 0x0
	frameHeaders   = 0x1
	frameRSTStream = 0x3

	flagEndStream = 0x1 // of DATA and HEADERS
	streamMask    = 1<<31 - 1
)

// clientPreface is how many bytes a client sends before its first frame (RFC 9113,
// 3.4).
const clientPreface = 24

// frame is the header of one.
type frame struct {
	length int // in bytes, of what follows the header
	kind   byte
	flags  byte
	stream uint32
}

// endsStream says whether whoever sends the frame sends no more on its stream.
func (f frame) endsStream() bool {
	return f.kind == frameRSTStream || f.flags&flagEndStream != 0 && (f.kind == frameData || f.kind == frameHeaders)
}

// frameScanner finds the frames in one direction of a connection, as its bytes come.
type frameScanner struct {
	skip   int // bytes before the next header
	header [frameHeaderLen]byte
	have   int // bytes of header
}

// scan goes on with p and calls each with every frame whose header has ended in it.
func (s *frameScanner) scan(p []byte, each func(frame)) {
	for len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(p))
			s.skip -= n
			p = p[n:]
			continue
		}
		n := copy(s.header[s.have:], p)
		s.have += n
		p = p[n:]
		if s.have < len(s.header) {
			return
		}
		h := &s.header
		f := frame{
			length: int(h[0])<<16 | int(h[1])<<8 | int(h[2]), kind: h[3], flags: h[4],
			stream: binary.BigEndian.Uint32(h[5:]) & streamMask,
		}
		s.skip, s.have = f.length, 0
		each(f)
	}
}
