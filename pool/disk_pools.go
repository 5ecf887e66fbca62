package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// poolKind is the kind of the records that hold the settings of pools, by the
// ids of their images.
const poolKind = "pool"

type poolRecord struct {
	Version int `json:"version"`
	ready.Settings
}

// maker makes ready disks for the stock.
type maker struct{ node *Node }

// Make implements ready.Maker.
func (k maker) Make(ctx context.Context, key ready.Key, urgent bool) (provision.Backing, error) {
	img, err := k.node.readyImage(ImageID(key))
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotReady) {
		return provision.Backing{}, fmt.Errorf("%w: %w", ready.ErrNoPool, err) // it is being deleted
	}
	if err != nil {
		return provision.Backing{}, err
	}
	err = ErrNoDisks
	for _, d := range k.node.dirs {
		var b provision.Backing
		b, err = d.Make(ctx, provision.Request{
			Manifest: img.Manifest, Size: img.MinDiskSize, Method: d.ReadyMethod(), Background: !urgent,
		})
		if !passes(err) {
			return b, err
		}
	}
	return provision.Backing{}, err
}

// passes says whether an error of one directory or method leaves hope for the
// next.
func passes(err error) bool {
	return errors.Is(err, provision.ErrNoSpace) || errors.Is(err, provision.ErrMethod) || errors.Is(err, provision.ErrFileSize)
}

// Discard implements ready.Maker.
func (k maker) Discard(ctx context.Context, _ ready.Key, b provision.Backing) error {
	d, err := k.node.directory(b.Dir)
	if err != nil {
		return err
	}
	return d.Remove(ctx, b)
}

// openPools begins the pools of all images that have one, with the disks that
// were found ready, and removes the settings of those that are gone.
func (n *Node) openPools(ctx context.Context, found map[cas.ManifestID][]provision.Backing) error {
	settings := make(map[ImageID]ready.Settings)
	for r, err := range n.opts.Store.Records(ctx, poolKind) {
		var p poolRecord
		if err == nil {
			err = json.Unmarshal(r.Payload, &p)
		}
		if err == nil && p.Version != recordVersion {
			err = fmt.Errorf("settings of pool %s: version %d, want %d: %w", r.ID, p.Version, recordVersion, cas.ErrNewerVersion)
		}
		if errors.Is(err, cas.ErrNewerVersion) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			n.opts.Logger.Error("the settings of a pool cannot be read", "image", r.ID, "reason", err)
			continue
		}
		settings[ImageID(r.ID)] = p.Settings
	}
	for _, img := range n.images.all() {
		s, had := settings[img.ID]
		delete(settings, img.ID)
		if !img.Pooled {
			if had {
				n.forgetPool(ctx, img.ID)
			}
			continue
		}
		var have []provision.Backing
		var rest []provision.Backing
		for _, b := range found[img.Manifest] {
			if b.Size <= img.MinDiskSize {
				have = append(have, b)
			} else {
				rest = append(rest, b)
			}
		}
		found[img.Manifest] = rest
		n.stock.Open(ready.Key(img.ID), s, have)
	}
	for id := range settings {
		n.forgetPool(ctx, id)
	}
	return nil
}

func (n *Node) forgetPool(ctx context.Context, id ImageID) {
	err := n.opts.Store.RemoveRecord(context.WithoutCancel(ctx), poolKind, string(id))
	if err != nil && !errors.Is(err, cas.ErrNotFound) {
		n.opts.Logger.Error("the settings of a pool are left over", "image", id, "reason", err)
	}
}

// imageMade begins the pool of an image that wants one.
func (n *Node) imageMade(_ context.Context, img Image) {
	for _, d := range n.dirs {
		d.KeepBase(img.Manifest)
	}
	if !img.Pooled || len(n.dirs) == 0 {
		return
	}
	if unlock, err := n.lockPool(img.ID); err == nil { // else it is deleted already
		n.stock.Open(ready.Key(img.ID), ready.Settings{}, nil)
		unlock()
	}
}

// lockPool keeps an image with a pool from being deleted, and its pool from being
// changed by others, until unlock is called.
func (n *Node) lockPool(id ImageID) (unlock func(), err error) {
	r, err := n.images.lock(id)
	if err != nil {
		return nil, err
	}
	img := n.images.value(r)
	err = checkReady(imageKind, string(id), img.Status, nil)
	if err == nil && !img.Pooled {
		err = ErrNotPooled
	}
	if err != nil {
		r.writing.Unlock()
		return nil, err
	}
	return r.writing.Unlock, nil
}

// imageGone ends the pool of an image that has been deleted.
func (n *Node) imageGone(ctx context.Context, img Image) {
	if img.Pooled && n.stock != nil {
		if err := n.stock.Close(ready.Key(img.ID)); err != nil {
			n.opts.Logger.Error("ready disks are left over", "image", img.ID, "reason", err)
		}
		n.forgetPool(ctx, img.ID)
	}
	n.dropBase(img.Manifest)
}

// SetPool gives the pool of an image other settings, durably.
func (n *Node) SetPool(ctx context.Context, id ImageID, s ready.Settings) (ready.Stat, error) {
	return n.ChangePool(ctx, id, func(ready.Settings) ready.Settings { return s })
}

// ChangePool is SetPool with settings that edit makes of those that the pool has.
func (n *Node) ChangePool(ctx context.Context, id ImageID, edit func(ready.Settings) ready.Settings) (ready.Stat, error) {
	st, err := n.changePool(ctx, id, edit)
	if err != nil {
		return ready.Stat{}, fmt.Errorf("set pool of image %s: %w", id, err)
	}
	return st, nil
}

func (n *Node) changePool(ctx context.Context, id ImageID, edit func(ready.Settings) ready.Settings) (ready.Stat, error) {
	unlock, err := n.lockPool(id)
	if err != nil {
		return ready.Stat{}, err
	}
	defer unlock()
	st, err := n.stock.Stat(ready.Key(id))
	if err != nil {
		return ready.Stat{}, err
	}
	s := edit(st.Settings)
	if err := s.Validate(); err != nil {
		return ready.Stat{}, err
	}
	payload, err := json.Marshal(poolRecord{recordVersion, s})
	if err == nil {
		err = n.opts.Store.PutRecord(ctx, cas.Record{Kind: poolKind, ID: string(id), Payload: payload})
	}
	if err != nil {
		return ready.Stat{}, err
	}
	n.stock.Open(ready.Key(id), s, nil)
	return n.stock.Stat(ready.Key(id))
}

// ReadyMethod is how ready disks are made as long as the first disk directory has
// room; empty when there is none.
func (n *Node) ReadyMethod() provision.Method {
	if len(n.dirs) == 0 {
		return ""
	}
	return n.dirs[0].ReadyMethod()
}

// Pools gives the stock of ready disks; its keys are the ids of images.
func (n *Node) Pools() *ready.Stock { return n.stock }
