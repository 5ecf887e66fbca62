package cas

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// openObjects keeps the segments that were read last open.
type openObjects struct {
	volume blockio.Volume
	most   int

	mu    sync.Mutex
	byID  map[SegmentID]*list.Element // guarded by mu
	order *list.List                  // of *openObject, latest first; guarded by mu
}

// openObject is a segment that is open for reading. Its users are guarded by the
// mutex of openObjects; it is closed when it is not cached and has none.
type openObject struct {
	blockio.Object
	id     SegmentID
	users  int
	cached bool
}

func newOpenObjects(v blockio.Volume, most int) *openObjects {
	return &openObjects{volume: v, most: most, byID: make(map[SegmentID]*list.Element), order: list.New()}
}

// get opens a segment; the caller puts it back.
func (o *openObjects) get(ctx context.Context, id SegmentID) (*openObject, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if el, ok := o.byID[id]; ok {
		o.order.MoveToFront(el)
		obj := el.Value.(*openObject)
		obj.users++
		return obj, nil
	}
	inner, err := o.volume.Open(ctx, id.object())
	if err != nil {
		return nil, fmt.Errorf("open segment %v: %w", id, err)
	}
	obj := &openObject{Object: inner, id: id, users: 1, cached: true}
	o.byID[id] = o.order.PushFront(obj)
	for o.order.Len() > o.most {
		if err := o.evict(o.order.Back()); err != nil {
			return obj, err
		}
	}
	return obj, nil
}

// evict takes an object out of the cache. Mu is held.
func (o *openObjects) evict(el *list.Element) error {
	obj := o.order.Remove(el).(*openObject)
	delete(o.byID, obj.id)
	obj.cached = false
	if obj.users > 0 {
		return nil
	}
	return obj.Close()
}

func (o *openObjects) put(obj *openObject) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	obj.users--
	if obj.users > 0 || obj.cached {
		return nil
	}
	return obj.Close()
}

// drop forgets a segment that was removed.
func (o *openObjects) drop(id SegmentID) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if el, ok := o.byID[id]; ok {
		return o.evict(el)
	}
	return nil
}

func (o *openObjects) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var errs []error
	for o.order.Len() > 0 {
		errs = append(errs, o.evict(o.order.Back()))
	}
	return errors.Join(errs...)
}
