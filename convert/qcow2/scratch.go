package qcow2

import "unsafe"

// blockAlign is what direct readers want of memory and offsets.
const blockAlign = 4 << 10

// gatherLimit is the most bytes of compressed clusters to read at once.
const gatherLimit = 1 << 20

// scratch is the memory of one ReadAt or walk.
type scratch struct {
	walker  walker
	batch   []run
	host    []byte // compressed data
	cluster []byte // a cluster of which only a part is wanted
}

// gatherMax leaves room for one compressed cluster at least.
func (s *scratch) gatherMax(g *geometry) int64 { return max(gatherLimit, 3*g.clusterSize) }

// hostBuffer is n bytes at an aligned address. Their content is undefined.
func (s *scratch) hostBuffer(n int) []byte {
	if cap(s.host) < n {
		s.host = alignedBytes(n)
	}
	return s.host[:n]
}

func (s *scratch) clusterBuffer(n int64) []byte {
	if s.cluster == nil {
		s.cluster = make([]byte, n)
	}
	return s.cluster
}

func alignedBytes(n int) []byte {
	p := make([]byte, n+blockAlign)
	skip := -int(uintptr(unsafe.Pointer(&p[0]))) & (blockAlign - 1)
	return p[skip : skip+n : skip+n]
}

// keepScratch is how many idle scratches an image keeps.
const keepScratch = 16

// scratchPool keeps what concurrent readers use by turns. Unlike a sync.Pool
// it gives the memory back with the image, and not to a collection in between.
type scratchPool struct {
	idle chan *scratch
}

func (sp *scratchPool) init() { sp.idle = make(chan *scratch, keepScratch) }

func (sp *scratchPool) take() *scratch {
	select {
	case s := <-sp.idle:
		return s
	default:
		return new(scratch)
	}
}

func (sp *scratchPool) give(s *scratch) {
	s.batch = s.batch[:0]
	select {
	case sp.idle <- s:
	default:
	}
}
