package operation

import (
	"cmp"
	"slices"
)

// index finds jobs by folder or resource, in the order of their numbers.
// Engine.mu guards it.
type index map[string][]*job

func (x index) add(name string, j *job) {
	if name == "" {
		return
	}
	at, _ := slices.BinarySearchFunc(x[name], j.seq, bySeq)
	x[name] = slices.Insert(x[name], at, j)
}

func (x index) remove(name string, j *job) {
	at, ok := slices.BinarySearchFunc(x[name], j.seq, bySeq)
	if !ok {
		return
	}
	x[name] = slices.Delete(x[name], at, at+1)
	if len(x[name]) == 0 {
		delete(x, name)
	}
}

// before gives up to n jobs with numbers below seq, the highest first.
func (x index) before(name string, seq uint64, n int) []*job {
	at, _ := slices.BinarySearchFunc(x[name], seq, bySeq)
	page := slices.Clone(x[name][max(0, at-n):at])
	slices.Reverse(page)
	return page
}

func bySeq(j *job, seq uint64) int { return cmp.Compare(j.seq, seq) }
