package operation

import (
	"slices"
	"time"
)

// history is the ended operations, the one that ended first in front. Engine.mu
// guards it.
type history struct{ ended []*job }

func (h *history) push(j *job) { h.ended = append(h.ended, j) }

func (h *history) sort() {
	slices.SortFunc(h.ended, func(a, b *job) int { return a.ended.Compare(b.ended) })
}

// cut takes off what is beyond count or ended before a time, at most limit of them.
func (h *history) cut(count int, before time.Time, limit int) []*job {
	n := 0
	for n < min(limit, len(h.ended)) && (len(h.ended)-n > count || h.ended[n].ended.Before(before)) {
		n++
	}
	old := slices.Clone(h.ended[:n])
	h.ended = slices.Delete(h.ended, 0, n)
	return old
}

const (
	pruneInterval = time.Hour
	pruneBatch    = 1000
)

// pruneAlways prunes now and then, until the engine closes.
func (e *Engine) pruneAlways() {
	ticker := time.NewTicker(pruneInterval)
	defer ticker.Stop()
	for {
		e.prune(time.Now())
		select {
		case <-ticker.C:
		case <-e.base.Done():
			return
		}
	}
}

// overfull says whether so many operations have ended that some must be forgotten
// before their time; an eighth more than the bound are forgotten together.
func (h *history) overfull(count int) bool { return len(h.ended) > count+count/8 }

// prune forgets operations that ended too long ago, or that are too many, and
// their idempotency keys with them. While somebody does, nobody else has to: he
// looks again at what was left to him.
func (e *Engine) prune(now time.Time) {
	for e.pruning.TryLock() {
		e.pruneAll(now)
		e.pruning.Unlock()
		e.mu.Lock()
		over := e.history.overfull(e.opts.HistoryCount)
		e.mu.Unlock()
		if !over {
			return
		}
	}
}

// pruneAll forgets all that prune has to. The caller holds pruning.
func (e *Engine) pruneAll(now time.Time) {
	for {
		e.mu.Lock()
		old := e.history.cut(e.opts.HistoryCount, now.Add(-e.opts.HistoryAge), pruneBatch)
		for _, j := range old {
			e.unlist(j)
		}
		e.mu.Unlock()
		if len(old) == 0 {
			return
		}
		c := make(change)
		for _, j := range old {
			c[key(recordKey, j.id)] = nil
			if e.pruned.Before(j.created) {
				e.pruned = j.created
			}
		}
		c[key(prunedKey, "")] = encodeTime(e.pruned)
		if err := e.write(c); err != nil {
			// They come back at the next start, and go then.
			e.opts.Logger.Warn("old operations stay in the database", "count", len(old), "reason", err)
			return
		}
	}
}
