package cas

import "sync"

// gatherer lets callers who come while others are at work do theirs together:
// whoever comes first works at once and alone, those who come meanwhile make one
// round, which the first of them carries out for all. It is for work of which
// much costs little more than one. Rounds come one after another.
type gatherer[T, R any] struct {
	// Immutable.
	fits func(have []T, item T) bool // whether a round that has some items takes one more
	turn chan struct{}               // has a token while a round is carried out

	mu   sync.Mutex
	next *round[T, R] // the last that waits, which may be full; guarded by mu
}

type round[T, R any] struct {
	items []T           // guarded by the gatherer's mu as long as it waits
	done  chan struct{} // closed when result and err are set

	result R
	err    error
}

func newGatherer[T, R any](fits func([]T, T) bool) *gatherer[T, R] {
	return &gatherer[T, R]{fits: fits, turn: make(chan struct{}, 1)}
}

// do carries out the item in some round. All of a round get what run returns.
func (g *gatherer[T, R]) do(item T, run func(items []T) (R, error)) (R, error) {
	g.mu.Lock()
	if r := g.next; r != nil && g.fits(r.items, item) {
		r.items = append(r.items, item)
		g.mu.Unlock()
		<-r.done
		return r.result, r.err
	}
	r := &round[T, R]{items: []T{item}, done: make(chan struct{})}
	g.next = r
	g.mu.Unlock()

	g.turn <- struct{}{}
	g.mu.Lock()
	if g.next == r {
		g.next = nil
	}
	items := r.items
	g.mu.Unlock()
	r.result, r.err = run(items)
	<-g.turn
	close(r.done)
	return r.result, r.err
}
