package blake3

// maxChunks is the number of chunks whose values are held at a time, a power of two.
const maxChunks = 128

// A hasher holds the nodes of one level of some trees, neighbours side by side, and makes the level above from them.
type hasher struct {
	lanes lanes

	level, above *[maxChunks]digest
	buffers      [2][maxChunks]digest
	used         int // nodes of level

	spans  [maxChunks]span
	nspans int
}

// A span is what the level has of one tree.
type span struct {
	start, n int
	root     *digest // where the digest goes
}

// release gives h back without pointers to the caller's memory.
func (h *hasher) release() {
	h.lanes.in = [maxLanes]*byte{}
	h.lanes.out = [maxLanes]*digest{}
	hashers.Put(h)
}

func chunks(p []byte) int { return (len(p) + chunkSize - 1) / chunkSize }

// add begins a tree with the leaves of p, which are between two and the free nodes of the level. Its first chunk is
// counter. Its whole chunks are jobs that wait for a run.
func (h *hasher) add(p []byte, counter uint64, root *digest) {
	if h.used == 0 {
		h.level, h.above = &h.buffers[0], &h.buffers[1]
		h.lanes.leaves()
	}
	h.spans[h.nspans] = span{h.used, chunks(p), root}
	h.nspans++
	for ; len(p) >= chunkSize; p = p[chunkSize:] {
		h.lanes.add(&p[0], counter, &h.level[h.used])
		h.used++
		counter++
	}
	if len(p) > 0 {
		h.level[h.used] = chunk(p, counter, 0)
		h.used++
	}
}

// reduce makes levels until no tree has more than two nodes.
func (h *hasher) reduce() {
	h.lanes.run()
	h.lanes.parents(0)
	for more := true; more; {
		more = false
		h.used = 0
		for i := range h.spans[:h.nspans] {
			h.rise(&h.spans[i])
			more = more || h.spans[i].n > 2
		}
		h.lanes.run()
		h.level, h.above = h.above, h.level
	}
}

// rise makes the parents of a tree's nodes. One without a neighbour moves up as it is, and so do the last two, which
// the root will be made of.
func (h *hasher) rise(s *span) {
	nodes := h.level[s.start : s.start+s.n]
	s.start = h.used
	for ; len(nodes) > 1 && s.n > 2; nodes = nodes[2:] {
		h.lanes.add(&nodes[0][0], 0, &h.above[h.used])
		h.used++
	}
	h.used += copy(h.above[h.used:], nodes)
	s.n = h.used - s.start
}

// roots writes the digests of all trees and forgets them.
func (h *hasher) roots() {
	h.reduce()
	h.lanes.parents(flagRoot)
	for _, s := range h.spans[:h.nspans] {
		h.lanes.add(&h.level[s.start][0], 0, s.root)
	}
	h.lanes.run()
	clear(h.spans[:h.nspans])
	h.nspans, h.used = 0, 0
}

// children returns the values of the two children of the node over p, which has more than a chunk. No tree may be
// under way.
func (h *hasher) children(p []byte, counter uint64) (pair [2]digest) {
	if len(p) <= maxChunks*chunkSize {
		h.add(p, counter, nil)
		h.reduce()
		h.nspans, h.used = 0, 0
		return [2]digest(h.level[:2])
	}
	// The left child is the largest complete tree that leaves something for the right.
	left := maxChunks * chunkSize
	for 2*left < len(p) {
		left *= 2
	}
	pair[0] = h.node(p[:left], counter)
	pair[1] = h.node(p[left:], counter+uint64(left/chunkSize))
	return pair
}

// node returns the value of the node over p.
func (h *hasher) node(p []byte, counter uint64) digest {
	if len(p) <= chunkSize {
		return chunk(p, counter, 0)
	}
	return parentOf(h.children(p, counter), 0)
}
