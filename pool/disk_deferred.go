package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/provision"
)

// A disk that is cloned is durable, and acknowledged, with the clone's own sync: the
// clone carries its record. That of the store is deferred: it is written a moment later, with those of the disks
// that were cloned meanwhile, which share the sync; or before anything becomes of
// the disk. What a crash comes between is found with the files, by adopt.
const (
	deferTime  = 50 * time.Millisecond
	deferRetry = time.Second // after a record that could not be written
	deferMax   = 64          // written at a time
)

// deferred are the disks whose records are to be written to the store.
type deferred struct {
	flush  func(DiskID) error
	log    *slog.Logger
	end    chan struct{} // closed by stop
	finish func()        // closes end, once

	mu      sync.Mutex
	waiting []DiskID
	running bool
	failing bool // the latest attempt failed, and no more is to be deferred
	work    sync.WaitGroup
}

func newDeferred(flush func(DiskID) error, log *slog.Logger) *deferred {
	d := &deferred{flush: flush, log: log, end: make(chan struct{})}
	d.finish = sync.OnceFunc(func() { close(d.end) })
	return d
}

// carrier is what is to finish files: with the record, unless the store does not
// take those that wait already.
func (d *deferred) carrier(finish provision.Finish) provision.Finish {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing && finish != nil {
		return func([]byte) (bool, error) { return finish(nil) }
	}
	return finish
}

// add has a disk's record written soon.
func (d *deferred) add(id DiskID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = append(d.waiting, id)
	if !d.running {
		d.running = true
		d.work.Go(d.run)
	}
}

// stop writes what waits, and waits for it; nothing may be added any more.
func (d *deferred) stop() {
	d.finish()
	d.work.Wait()
}

// run writes until nothing waits.
func (d *deferred) run() {
	wait := deferTime
	for {
		last := d.wait(wait)
		d.mu.Lock()
		ids := d.waiting
		d.waiting = nil
		d.mu.Unlock()
		left, err := d.flushAll(ids)
		if err != nil {
			d.log.Error("the store has not taken the records of disks, which their files carry", "disks", len(left), "reason", err)
		}
		wait = deferTime
		if err != nil {
			wait = deferRetry
		}
		d.mu.Lock()
		d.waiting = append(d.waiting, left...)
		d.failing = err != nil
		d.running = len(d.waiting) > 0 && !last
		more := d.running
		d.mu.Unlock()
		if !more {
			return
		}
	}
}

// wait says whether it is the last time.
func (d *deferred) wait(t time.Duration) (last bool) {
	select {
	case <-time.After(t):
		return false
	case <-d.end:
		return true
	}
}

// flushAll gives the disks that are left, and why.
func (d *deferred) flushAll(ids []DiskID) (left []DiskID, err error) {
	var (
		g  errgroup.Group
		mu sync.Mutex
	)
	g.SetLimit(deferMax)
	for _, id := range ids {
		g.Go(func() error {
			err := d.flush(id)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				left = append(left, id)
			}
			return err
		})
	}
	err = g.Wait()
	return left, err
}

// uncarry takes the record from a disk's files, when the store has it. Should that
// not last, or fail, they carry it beside the store's, which counts.
func (n *Node) uncarry(d Disk) {
	dir, err := n.directory(d.Dir)
	if err == nil {
		err = dir.Uncarry(d.backing())
	}
	if err != nil {
		n.opts.Logger.Warn("the files of a disk go on to carry its record", "disk", d.ID, "reason", err)
	}
}

// adopt lists the disk whose record files carry that no listed disk has. A store that
// is full, say, may have to wait for the record.
func (n *Node) adopt(ctx context.Context, in *provision.Directory, id BackingID, payload []byte) (bool, error) {
	d, err := decodeCarried(payload, n.opts.DefaultFolder)
	if err == nil && d.Backing != id {
		err = fmt.Errorf("that of disk %s, whose is %s: %w", d.ID, d.Backing, cas.ErrCorrupt)
	}
	if err == nil {
		if have, listed := n.disks.get(d.ID); listed == nil {
			err = fmt.Errorf("that of disk %s, which has %s: %w", d.ID, have.Backing, cas.ErrCorrupt)
		}
	}
	switch {
	case errors.Is(err, cas.ErrNewerVersion):
		return false, err
	case err != nil:
		n.opts.Logger.Error("left alone files that carry a record that is not theirs", "backing", id, "reason", err)
		return true, nil
	}
	d.Dir = in.Dir()
	name := d.Name
	if err := n.disks.adopt(d, n.uncarry); err != nil {
		return false, fmt.Errorf("adopt disk %s: %w", d.ID, err)
	}
	n.opts.Logger.Info("a disk was made before the process ended, and is listed", "disk", d.ID, "backing", id)
	if d.Name != name {
		n.opts.Logger.Warn("another disk has its name by now", "disk", d.ID, "name", name)
	}
	if err := n.disks.flush(d.ID); err != nil {
		n.opts.Logger.Error("the store has not taken the record of a disk, which its files carry", "disk", d.ID, "reason", err)
		n.deferred.add(d.ID)
	}
	return true, context.Cause(ctx)
}

func decodeCarried(payload []byte, home FolderID) (*Disk, error) {
	var named Meta[DiskID]
	if err := json.Unmarshal(payload, &named); err != nil {
		return nil, fmt.Errorf("%w: %w", cas.ErrCorrupt, err)
	}
	return decodeRecord[DiskID, Disk](cas.Record{Kind: diskKind, ID: string(named.ID), Payload: payload}, home)
}
