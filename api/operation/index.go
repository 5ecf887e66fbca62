package operation

import (
	"cmp"
	"slices"
)

// index finds jobs by folder or resource, in the order of their numbers.
// Engine.mu guards it.
type index map[string][]*job

func (x index) add(name string, j *job) {
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

// before gives up to n jobs with numbers below seq, the highest first; pending
// leaves out those that are done.
func (x index) before(name string, seq uint64, n int, pending bool) []*job {
	at, _ := slices.BinarySearchFunc(x[name], seq, bySeq)
	var page []*job
	for _, j := range slices.Backward(x[name][:at]) {
		if len(page) == n {
			break
		}
		if !pending || j.stage != Done {
			page = append(page, j)
		}
	}
	return page
}

func bySeq(j *job, seq uint64) int { return cmp.Compare(j.seq, seq) }
