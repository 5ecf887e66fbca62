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

// openObject is a segment that is open for reading, or being opened. It is closed
// when it is not cached and has no users.
type openObject struct {
	blockio.Object // nil after an error
	id             SegmentID
	opened         chan struct{} // closed when Object or err is set
	err            error

	// Guarded by the mutex of openObjects.
	users  int
	cached bool
}

func newOpenObjects(v blockio.Volume, most int) *openObjects {
	return &openObjects{volume: v, most: most, byID: make(map[SegmentID]*list.Element), order: list.New()}
}

// get opens a segment; the caller puts it back. Each is opened once however many
// ask for it, and nobody waits for that of another.
func (o *openObjects) get(ctx context.Context, id SegmentID) (*openObject, error) {
	obj, first, err := o.join(id)
	if err == nil && first {
		o.open(context.WithoutCancel(ctx), obj)
	}
	if err == nil {
		select {
		case <-obj.opened:
			err = obj.err
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open segment %v: %w", id, err), o.put(obj))
	}
	return obj, nil
}

// join makes the caller a user of a segment. The first one opens it.
func (o *openObjects) join(id SegmentID) (obj *openObject, first bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if el, ok := o.byID[id]; ok {
		o.order.MoveToFront(el)
		obj = el.Value.(*openObject)
		obj.users++
		return obj, false, nil
	}
	obj = &openObject{id: id, opened: make(chan struct{}), users: 1, cached: true}
	o.byID[id] = o.order.PushFront(obj)
	for o.order.Len() > o.most && err == nil {
		err = o.evict(o.order.Back())
	}
	return obj, true, err
}

// open opens a segment that was joined. What cannot be opened is not cached.
func (o *openObjects) open(ctx context.Context, obj *openObject) {
	defer close(obj.opened)
	if obj.Object, obj.err = o.volume.Open(ctx, obj.id.object()); obj.err == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if obj.cached {
		_ = o.evict(o.byID[obj.id]) // it has a user, and so nothing is closed
	}
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
	if obj.users > 0 || obj.cached || obj.Object == nil {
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
