package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/provision"
)

// hydration brings the bytes of lazy disks over from the store, in the
// background, one disk after another.
type hydration struct {
	// Immutable.
	life context.Context
	end  context.CancelFunc
	turn chan struct{} // held by who hydrates

	mu      sync.Mutex
	ended   bool                  // guarded by mu
	by      map[DiskID]*hydrating // guarded by mu
	running sync.WaitGroup
}

// hydrating is the hydration of a disk, which waits for its turn or has it.
type hydrating struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
}

func newHydration() *hydration {
	h := &hydration{turn: make(chan struct{}, 1), by: make(map[DiskID]*hydrating)}
	h.life, h.end = context.WithCancel(context.Background())
	return h
}

// begin starts the hydration of a disk, unless it is under way or the node is
// closing.
func (h *hydration) begin(id DiskID, work func(context.Context)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended || h.by[id] != nil {
		return
	}
	ctx, cancel := context.WithCancel(h.life)
	t := &hydrating{cancel: cancel, done: make(chan struct{})}
	h.by[id] = t
	h.running.Go(func() {
		defer h.finish(id, t)
		select {
		case h.turn <- struct{}{}:
		case <-ctx.Done():
			return
		}
		defer func() { <-h.turn }()
		work(ctx)
	})
}

func (h *hydration) finish(id DiskID, t *hydrating) {
	t.cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.by, id)
	close(t.done)
}

// pause stops the hydration of a disk, and returns when it has stopped.
func (h *hydration) pause(id DiskID) {
	h.mu.Lock()
	t := h.by[id]
	h.mu.Unlock()
	if t != nil {
		t.cancel()
		<-t.done
	}
}

// stop ends all of it and returns when nothing runs.
func (h *hydration) stop() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.end()
	h.running.Wait()
}

// hydrateAll begins with the disks that are lazy still.
func (n *Node) hydrateAll() {
	for _, d := range n.disks.all() {
		if d.lazy() {
			n.hydrate(d.ID)
		}
	}
}

// hydrate brings a disk over in the background. What fails is tried again at
// the next start; the disk works meanwhile.
func (n *Node) hydrate(id DiskID) {
	n.hydration.begin(id, func(ctx context.Context) {
		err := n.hydrateDisk(ctx, id)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNotReady) {
			n.opts.Logger.Error("a lazy disk stays lazy", "disk", id, "reason", err)
		}
	})
}

// hydrateDisk makes a lazy disk stand alone: first its bytes, then its record,
// which gives up the base, then its map goes.
func (n *Node) hydrateDisk(ctx context.Context, id DiskID) (err error) {
	o, err := n.OpenDisk(ctx, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	l, ok := o.Device.(*provision.LazyDisk)
	if !ok {
		return nil
	}
	if err := l.Hydrate(ctx); err != nil {
		return fmt.Errorf("hydrate disk %s: %w", id, err)
	}
	return n.standAlone(ctx, id)
}

// standAlone gives up the base of a disk that has come over. The record may say so
// in spite of an error, and the map goes then as well.
func (n *Node) standAlone(ctx context.Context, id DiskID) error {
	d, err := n.disks.change(context.WithoutCancel(ctx), id, func(d *Disk) error {
		d.Base = cas.ManifestID{}
		return nil
	})
	if d.ID == "" || d.lazy() {
		return err
	}
	dir, dirErr := n.directory(d.Dir)
	if dirErr == nil {
		dirErr = dir.DropMap(d.backing())
	}
	return errors.Join(err, dirErr)
}
