package blake3

const maxLanes = 16

// lanes are compressions of chains of blocks that run side by side. The assembly reads it.
type lanes struct {
	in          [maxLanes]*byte
	out         [maxLanes]*digest
	counterLow  [maxLanes]uint32
	counterHigh [maxLanes]uint32

	blocks uint32 // of each lane
	first  uint32 // flags of the first block
	middle uint32 // flags of those after it
	last   uint32 // flags that the last block has besides

	jobs int    // lanes in use
	idle digest // where the others write
}

// compress16 runs all lanes, compress8 the first eight. Both need AVX-512 F, DQ and VL.
//
//go:noescape
func compress16(l *lanes)

//go:noescape
func compress8(l *lanes)

// compress1 replaces cv by the compression of a block of 64 bytes, of which size count.
//
//go:noescape
func compress1(cv *digest, block *byte, counter uint64, size, flags uint32)

// leaves begins jobs over whole chunks.
func (l *lanes) leaves() {
	l.blocks, l.first, l.middle, l.last = chunkSize/blockSize, flagChunkStart, 0, flagChunkEnd
}

// parents begins jobs over pairs of children.
func (l *lanes) parents(flags uint32) {
	l.blocks, l.first, l.middle, l.last = 1, flagParent|flags, 0, 0
}

// add puts a job into the next lane and runs the lanes when all have one. In and out must stay until run.
func (l *lanes) add(in *byte, counter uint64, out *digest) {
	i := l.jobs & (maxLanes - 1)
	l.in[i], l.out[i] = in, out
	l.counterLow[i], l.counterHigh[i] = uint32(counter), uint32(counter>>32)
	if l.jobs++; l.jobs == maxLanes {
		l.jobs = 0
		compress16(l)
	}
}

// run finishes the jobs that were added.
func (l *lanes) run() {
	if l.jobs == 0 {
		return
	}
	for i := l.jobs; i < maxLanes; i++ {
		l.in[i], l.out[i] = l.in[0], &l.idle
	}
	if l.jobs > maxLanes/2 {
		compress16(l)
	} else {
		compress8(l)
	}
	l.jobs = 0
}
