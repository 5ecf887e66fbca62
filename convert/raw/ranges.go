package raw

import (
	"iter"
	"slices"
	"sync"
)

// ranges is a set of offsets, kept as disjoint runs in order. It is safe for
// concurrent use.
type ranges struct {
	mu   sync.Mutex
	runs []run
}

type run struct{ start, end int64 }

// add adds the offsets start to end-1.
func (r *ranges) add(start, end int64) {
	if start >= end {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// The runs i to j-1 touch the new one and become one with it.
	i, _ := slices.BinarySearchFunc(r.runs, start, func(x run, at int64) int {
		if x.end < at {
			return -1
		}
		return 1
	})
	j := i
	for j < len(r.runs) && r.runs[j].start <= end {
		start, end = min(start, r.runs[j].start), max(end, r.runs[j].end)
		j++
	}
	r.runs = slices.Replace(r.runs, i, j, run{start, end})
}

// gaps yields the runs of offsets below size that are not in the set. Nothing
// may be added meanwhile.
func (r *ranges) gaps(size int64) iter.Seq2[int64, int64] {
	return func(yield func(start, end int64) bool) {
		next := int64(0)
		for _, x := range r.runs {
			if x.start > next && !yield(next, x.start) {
				return
			}
			next = x.end
		}
		if next < size {
			yield(next, size)
		}
	}
}
