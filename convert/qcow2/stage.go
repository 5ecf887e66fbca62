package qcow2

import "github.com/blockmill/blockmill/blockio"

// stageDirect is from which length on a piece is written from where it is.
const stageDirect = 256 << 10

// stage makes few large writes of many small ones that follow one another in
// the file. Its memory has the alignment of the place it goes to.
type stage struct {
	dst    Target
	memory []byte
	off    int64 // of memory[0], a multiple of a block
	from   int   // memory[from:to] is to be written
	to     int
}

func newStage(dst Target, size int) *stage { return &stage{dst: dst, memory: pages(size)} }

// seek writes what there is, unless it ends at off, and goes on there.
func (s *stage) seek(off int64) error {
	if s.from < s.to && s.off+int64(s.to) == off {
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	s.moveTo(off)
	return nil
}

func (s *stage) moveTo(off int64) {
	s.off = off &^ (blockio.BlockSize - 1)
	s.from = int(off - s.off)
	s.to = s.from
}

func (s *stage) write(p []byte) error {
	for len(p) > 0 {
		if len(p) >= stageDirect || s.to == len(s.memory) {
			if err := s.flush(); err != nil {
				return err
			}
		}
		if len(p) >= stageDirect {
			if _, err := s.dst.WriteAt(p, s.off+int64(s.to)); err != nil {
				return err
			}
			s.moveTo(s.off + int64(s.to) + int64(len(p)))
			return nil
		}
		n := copy(s.memory[s.to:], p)
		s.to += n
		p = p[n:]
	}
	return nil
}

// flush writes what there is.
func (s *stage) flush() error {
	if s.from == s.to {
		return nil
	}
	if _, err := s.dst.WriteAt(s.memory[s.from:s.to], s.off+int64(s.from)); err != nil {
		return err
	}
	s.moveTo(s.off + int64(s.to))
	return nil
}
