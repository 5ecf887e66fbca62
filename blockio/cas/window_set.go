package cas

import (
	"fmt"
	"sort"
)

// slab is how many windows a windowSet allocates at a time.
const slab = 1 << 10

// windowSet gathers windows in any order. It grows by slabs, so that a large
// image never needs twice its own size while growing. The zero value is empty.
type windowSet struct {
	slabs  []*[slab]window
	n      int
	sorted bool
}

func (s *windowSet) len() int { return s.n }

func (s *windowSet) at(i int) *window { return &s.slabs[i/slab][i%slab] }

func (s *windowSet) add(w window) {
	if s.n%slab == 0 {
		s.slabs = append(s.slabs, new([slab]window))
	}
	s.n++
	*s.at(s.n - 1) = w
	s.sorted = false
}

// sort orders the windows by index; two of one index are an error.
func (s *windowSet) sort() error {
	if !s.sorted {
		sort.Sort(byIndex{s})
		s.sorted = true
	}
	for i := 1; i < s.n; i++ {
		if s.at(i).index == s.at(i-1).index {
			return fmt.Errorf("window %d was put twice", s.at(i).index)
		}
	}
	return nil
}

// byIndex sorts a windowSet in place, which slices.SortFunc cannot do over
// slabs.
type byIndex struct{ *windowSet }

func (b byIndex) Len() int           { return b.n }
func (b byIndex) Less(i, j int) bool { return b.at(i).index < b.at(j).index }
func (b byIndex) Swap(i, j int)      { *b.at(i), *b.at(j) = *b.at(j), *b.at(i) }
