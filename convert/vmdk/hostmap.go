package vmdk

import (
	"iter"
	"math/bits"
	"sync/atomic"
)

// mapSectors is how many sectors of a file a hostMap covers: 64 GiB in 16 MiB
// of memory. The check of a larger file takes a pass for each such window.
const mapSectors = 128 << 20

// hostMap marks the sectors of one window of a file that something claims. It
// is safe for concurrent use.
type hostMap struct {
	// start and end bound the window.
	start, end int64
	words      []uint32
	// last is the end of the last claimed run, windows aside.
	last atomic.Int64
}

// newHostMap makes a map whose windows have at most so many sectors.
func newHostMap(sectors int64) *hostMap {
	return &hostMap{words: make([]uint32, (sectors+31)/32)}
}

// move sets the window and clears the marks.
func (m *hostMap) move(start, end int64) {
	m.start, m.end = start, end
	clear(m.words)
}

// holds tells whether a sector lies in the window.
func (m *hostMap) holds(sector int64) bool { return sector >= m.start && sector < m.end }

// claim marks what lies in the window of count sectors from start on. It is
// false, and the first such sector returned, when one was marked before.
func (m *hostMap) claim(start, count int64) (taken int64, ok bool) {
	end := start + count
	for last := m.last.Load(); end > last && !m.last.CompareAndSwap(last, end); last = m.last.Load() {
	}
	ok = true
	start, end = max(start, m.start), min(end, m.end)
	for s := start; s < end; {
		bit := (s - m.start) % 32
		n := min(32-bit, end-s)
		mask := uint32(1<<n-1) << bit
		if old := atomic.OrUint32(&m.words[(s-m.start)/32], mask); old&mask != 0 && ok {
			ok, taken = false, s-bit+int64(bits.TrailingZeros32(old&mask))
		}
		s += n
	}
	return taken, ok
}

// gaps yields the runs of unmarked sectors of the window from sector from on.
func (m *hostMap) gaps(from int64) iter.Seq2[int64, int64] {
	return func(yield func(start, end int64) bool) {
		open := int64(-1)
		for s := max(from, m.start); s < m.end; {
			bit := (s - m.start) % 32
			word := m.words[(s-m.start)/32] >> bit
			n := min(32-bit, m.end-s)
			if open < 0 {
				used := min(int64(bits.TrailingZeros32(^word)), n)
				if used < n {
					open = s + used
				}
				s += used
				continue
			}
			free := min(int64(bits.TrailingZeros32(word)), n)
			s += free
			if free < n {
				if !yield(open, s) {
					return
				}
				open = -1
			}
		}
		if open >= 0 {
			yield(open, m.end)
		}
	}
}
