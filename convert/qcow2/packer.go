package qcow2

import "github.com/blockmill/blockmill/blockio"

const (
	// packChunk is how much of the packed streams is written at once.
	packChunk = 1 << 20
	// packChunks bounds the chunks that are filled or being written. One call
	// of add fills four at most.
	packChunks = 8
)

// packer puts compressed clusters back to back into extents of host clusters,
// and cuts these into chunks that are aligned in the file, whatever the
// streams' lengths.
type packer struct {
	geo      *geometry
	clusters int64 // of an extent
	pos, end int64 // the free part of the extent, in bytes
	chunk    chunk // the one being filled; without memory when none is
	spare    chan []byte
}

// chunk is a piece of the file, memory[from:to] is its content so far.
type chunk struct {
	memory   []byte
	off      int64 // of memory[0], a multiple of packChunk
	from, to int64
}

func newPacker(g *geometry) packer {
	p := packer{geo: g, clusters: max(int64(Window)>>g.clusterBits, 16), spare: make(chan []byte, packChunks)}
	for range packChunks {
		p.spare <- nil
	}
	return p
}

// add gives a stream its place, and copies it into chunks; full ones are
// returned, to be written and given back by the caller.
func (p *packer) add(a *allocator, stream []byte) (host int64, full []chunk, err error) {
	n := int64(len(stream))
	if p.pos+n > p.end {
		first, err := a.extent(p.clusters)
		if err != nil {
			return 0, nil, err
		}
		if first<<p.geo.clusterBits != p.end {
			full = p.flush(full)
			p.pos = first << p.geo.clusterBits
		}
		p.end = (first + p.clusters) << p.geo.clusterBits
	}
	host = p.pos
	for c := host >> p.geo.clusterBits; c <= (host+n-1)>>p.geo.clusterBits; c++ {
		a.use(c)
	}
	for len(stream) > 0 {
		p.open()
		m := copy(p.chunk.memory[p.chunk.to:], stream)
		stream = stream[m:]
		p.pos += int64(m)
		if p.chunk.to += int64(m); p.chunk.to == packChunk {
			full = p.flush(full)
		}
	}
	return host, full, nil
}

// open makes sure that there is a chunk for pos. It may wait for one that is
// being written, which needs no lock to come back.
func (p *packer) open() {
	if p.chunk.memory != nil {
		return
	}
	memory := <-p.spare
	if memory == nil {
		memory = pages(packChunk)
	}
	at := p.pos % packChunk
	p.chunk = chunk{memory: memory, off: p.pos - at, from: at, to: at}
}

// flush appends the chunk being filled to full.
func (p *packer) flush(full []chunk) []chunk {
	if p.chunk.memory == nil {
		return full
	}
	full = append(full, p.chunk)
	p.chunk = chunk{}
	return full
}

// floor is the first cluster whose uses may grow yet.
func (p *packer) floor(a *allocator) int64 {
	if p.pos == p.end {
		return a.next
	}
	return p.pos >> p.geo.clusterBits
}

// finish ends the last extent, and gives its free clusters back if it can.
func (p *packer) finish(a *allocator) []chunk {
	if p.end == a.next<<p.geo.clusterBits {
		a.next = (p.pos + p.geo.clusterSize - 1) >> p.geo.clusterBits
	}
	p.end = p.pos
	return p.flush(nil)
}

// write writes chunks, and gives their memory back. It needs no lock. The last
// cluster of a chunk that was ended early is the packer's own, so as much of it
// is written as makes a whole block.
func (p *packer) write(dst Target, full []chunk) error {
	unit := min(blockio.BlockSize, p.geo.clusterSize)
	var err error
	for _, c := range full {
		end := (c.to + unit - 1) &^ (unit - 1)
		clear(c.memory[c.to:end])
		if err == nil {
			_, err = dst.WriteAt(c.memory[c.from:end], c.off+c.from)
		}
		p.spare <- c.memory
	}
	return err
}
