package pool

import (
	"cmp"
	"slices"
	"time"
)

// Order is the order of a listing; ties are ordered by id.
type Order uint8

// The orders.
const (
	ByID Order = iota
	ByName
	ByCreation
	// byFamily has the images of a family together, the oldest first.
	byFamily
	orders
)

// Position is a place in any of the orders: after the thing that has these
// properties, whether it still exists or not.
type Position struct {
	ID        string
	Name      string
	CreatedAt time.Time
}

// key is what things are ordered by.
type key struct {
	Position
	family string
}

func (k key) compare(o Order, l key) int {
	c := 0
	switch o {
	case ByName:
		c = cmp.Compare(k.Name, l.Name)
	case ByCreation:
		c = k.CreatedAt.Compare(l.CreatedAt)
	case byFamily:
		c = cmp.Or(cmp.Compare(k.family, l.family), k.CreatedAt.Compare(l.CreatedAt))
	}
	return cmp.Or(c, cmp.Compare(k.ID, l.ID))
}

// ranked is things in one order.
type ranked[I ~string, T any, R resource[I, T]] []*T

// find gives the place of the first that does not come before k.
func (l ranked[I, T, R]) find(o Order, k key) (int, bool) {
	return slices.BinarySearchFunc(l, k, func(v *T, k key) int { return keyOf[I, T, R](v).compare(o, k) })
}

func keyOf[I ~string, T any, R resource[I, T]](v *T) key {
	m := R(v).meta()
	k := key{Position: Position{ID: string(m.ID), Name: m.Name, CreatedAt: m.CreatedAt}}
	if img, ok := any(v).(*Image); ok {
		k.family = img.Family
	}
	return k
}

// folder is the things of one folder.
type folder[I ~string, T any, R resource[I, T]] struct {
	// names says whose each name is, those of things that are being renamed
	// under both.
	names map[string]I
	in    [orders]ranked[I, T, R]
}

func (f *folder[I, T, R]) insert(v *T) {
	for o := range orders {
		l := &f.in[o]
		i, _ := l.find(o, keyOf[I, T, R](v))
		*l = slices.Insert(*l, i, v)
	}
}

func (f *folder[I, T, R]) remove(v *T) {
	for o := range orders {
		l := &f.in[o]
		if i, ok := l.find(o, keyOf[I, T, R](v)); ok {
			*l = slices.Delete(*l, i, i+1)
		}
	}
}

// replace puts v in the place of old, which has its id.
func (f *folder[I, T, R]) replace(old, v *T) {
	if keyOf[I, T, R](old) != keyOf[I, T, R](v) {
		f.remove(old)
		f.insert(v)
		return
	}
	for o := range orders {
		if i, ok := f.in[o].find(o, keyOf[I, T, R](v)); ok {
			f.in[o][i] = v
		}
	}
}
