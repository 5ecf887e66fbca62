package pool

import (
	"iter"
	"slices"
)

// Query says which things are listed, and how.
type Query struct {
	Folder FolderID
	// Name, unless it is empty, is that of the one thing that is wanted.
	Name       string
	Order      Order
	Descending bool
	// After, unless it is nil, is where the listing goes on.
	After *Position
}

// batch is how many things a listing takes at a time.
const batch = 128

// list yields the things that a query asks for. It holds no lock while it
// yields, so that what is made or removed in the meantime may or may not be
// seen; everything else is seen once.
func (t *table[I, T, R]) list(q Query) iter.Seq[T] {
	return func(yield func(T) bool) {
		if q.Name != "" {
			v, err := t.named(q.Folder, q.Name)
			if err == nil && q.reaches(keyOf[I, T, R](&v)) {
				yield(v)
			}
			return
		}
		for {
			page := t.page(q)
			for _, v := range page {
				if !yield(*v) {
					return
				}
			}
			if len(page) < batch {
				return
			}
			q.After = &Position{}
			*q.After = keyOf[I, T, R](page[len(page)-1]).Position
		}
	}
}

// reaches says whether a thing comes after the position of the query.
func (q Query) reaches(k key) bool {
	if q.After == nil {
		return true
	}
	c := k.compare(q.Order, key{Position: *q.After})
	return c > 0 != q.Descending && c != 0
}

// page gives the next things of a listing.
func (t *table[I, T, R]) page(q Query) ranked[I, T, R] {
	t.mu.RLock()
	defer t.mu.RUnlock()
	f := t.folders[q.Folder]
	if f == nil {
		return nil
	}
	l := f.in[q.Order]
	at := 0
	if q.Descending {
		at = len(l)
	}
	if q.After != nil {
		var found bool
		at, found = l.find(q.Order, key{Position: *q.After})
		if found && !q.Descending {
			at++
		}
	}
	if !q.Descending {
		return slices.Clone(l[at:min(at+batch, len(l))])
	}
	page := slices.Clone(l[max(at-batch, 0):at])
	slices.Reverse(page)
	return page
}
