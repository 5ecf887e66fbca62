package operation

import "container/list"

// queue holds the operations that wait, by folder. Engine.mu guards it.
type queue struct {
	folders map[string]*lane
	length  int
	turn    uint64
}

// lane is what one folder has waiting and at work.
type lane struct {
	waiting list.List
	active  int
	served  uint64 // the turn at which it came last
}

func (q *queue) lane(folder string) *lane {
	if q.folders == nil {
		q.folders = make(map[string]*lane)
	}
	l := q.folders[folder]
	if l == nil {
		l = new(lane)
		q.folders[folder] = l
	}
	return l
}

// tidy forgets a folder of which nothing waits and nothing is at work.
func (q *queue) tidy(folder string) {
	if l := q.folders[folder]; l != nil && l.waiting.Len() == 0 && l.active == 0 {
		delete(q.folders, folder)
	}
}

// waiting is how many operations of a folder wait.
func (q *queue) waiting(folder string) int {
	if l := q.folders[folder]; l != nil {
		return l.waiting.Len()
	}
	return 0
}

// push appends a job to its folder's queue.
func (q *queue) push(j *job) {
	j.place = q.lane(j.folder).waiting.PushBack(j)
	q.length++
}

// pop takes the next job: of the folder that has the fewest at work, and of
// several the one that has not come for longest. The job counts as at work until
// release.
func (q *queue) pop() *job {
	var best *lane
	for _, l := range q.folders {
		if l.waiting.Len() == 0 {
			continue
		}
		if best == nil || l.active < best.active || l.active == best.active && l.served < best.served {
			best = l
		}
	}
	if best == nil {
		return nil
	}
	q.turn++
	best.served = q.turn
	best.active++
	q.length--
	j := best.waiting.Remove(best.waiting.Front()).(*job)
	j.place = nil
	return j
}

// release ends the work of a job that pop gave.
func (q *queue) release(j *job) {
	q.folders[j.folder].active--
	q.tidy(j.folder)
}

// remove takes a waiting job out.
func (q *queue) remove(j *job) {
	q.folders[j.folder].waiting.Remove(j.place)
	j.place = nil
	q.length--
	q.tidy(j.folder)
}
