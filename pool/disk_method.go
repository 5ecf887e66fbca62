package pool

import (
	"context"
	"errors"
	"slices"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// obtain gets files for a disk: from the pool, or made by the first method that is
// possible.
func (n *Node) obtain(ctx context.Context, d Disk, o origin) (files, error) {
	if o.pool != "" && n.mayTake(d) {
		t, err := n.takeReady(ctx, d, o)
		if err == nil {
			return files{Backing: t.Backing, taken: t}, nil
		}
		if !errors.Is(err, ready.ErrNone) && !errors.Is(err, ready.ErrNoPool) && !errors.Is(err, ready.ErrStopped) {
			return files{}, err
		}
	}
	return n.makeFiles(ctx, d, o)
}

// takeReady takes a disk from the pool, and gives it the size. It waits for one
// when no quick method is left.
func (n *Node) takeReady(ctx context.Context, d Disk, o origin) (*ready.Taken, error) {
	// What the first directory makes is what a refill brings, if that has room.
	suits := func(b provision.Backing) bool {
		return (d.Dir == "" || b.Dir == d.Dir) && (d.Method == "" || b.Method == d.Method)
	}
	first := provision.Backing{Dir: n.dirs[0].Dir(), Method: n.ReadyMethod()}
	t, err := n.stock.Take(ctx, o.pool, ready.Want{Suits: suits, Wait: suits(first) && !n.quick(d)})
	if err != nil {
		return nil, err
	}
	dir, err := n.directory(t.Dir)
	if err == nil && t.Size < d.Size {
		err = dir.Grow(ctx, t.Backing, d.Size)
	}
	if errors.Is(err, provision.ErrFileSize) {
		t.Return()
		return nil, ready.ErrNone
	}
	if err == nil && t.Size > d.Size || errors.Is(err, provision.ErrMissing) {
		err = ready.ErrNone // made for another size, or gone
	}
	if err != nil {
		return nil, errors.Join(err, t.Discard(context.WithoutCancel(ctx)))
	}
	t.Size = d.Size
	return t, nil
}

// mayTake says whether a disk may come from the stock.
func (n *Node) mayTake(d Disk) bool {
	for _, dir := range n.candidates(d) {
		m := dir.ReadyMethod()
		if dir.Can(m) && (d.Method == "" || d.Method == m) {
			return true
		}
	}
	return false
}

// quick says whether a disk can be made in no time without the stock.
func (n *Node) quick(d Disk) bool {
	for _, dir := range n.candidates(d) {
		for _, m := range []provision.Method{provision.Reflink, provision.Overlay} {
			if dir.Can(m) && (d.Method == "" || d.Method == m) {
				return true
			}
		}
	}
	return false
}

// candidates are the directories that a disk may be in.
func (n *Node) candidates(d Disk) []*provision.Directory {
	if d.Dir == "" {
		return n.dirs
	}
	dir, err := n.directory(d.Dir)
	if err != nil {
		return nil
	}
	return []*provision.Directory{dir}
}

// makeFiles makes files by the first method that is possible, in the first
// directory that has room.
func (n *Node) makeFiles(ctx context.Context, d Disk, o origin) (f files, err error) {
	if o.manifest != (cas.ManifestID{}) {
		// So that garbage collection leaves it until the record keeps it.
		img, err := n.opts.Store.OpenImage(ctx, o.manifest)
		if err != nil {
			return f, err
		}
		defer func() { err = errors.Join(err, img.Close()) }()
	}
	last := error(ErrNoDisks)
	for _, dir := range n.candidates(d) {
		for _, m := range n.methods(dir, d, o) {
			b, finish, err := dir.MakeOwned(ctx, provision.Request{Manifest: o.manifest, Size: d.Size, Method: m})
			if !passes(err) {
				return files{Backing: b, finish: finish}, err
			}
			last = err
		}
	}
	return files{}, last
}

// methods are the ways to make a disk in a directory, the preferred first. A
// golden base that is not there yet is made for images, from which more disks
// are to be expected, and not for snapshots.
func (n *Node) methods(dir *provision.Directory, d Disk, o origin) []provision.Method {
	if o.manifest == (cas.ManifestID{}) {
		return []provision.Method{provision.Blank}
	}
	if d.Method != "" {
		return []provision.Method{d.Method}
	}
	all := slices.DeleteFunc(dir.Methods(), func(m provision.Method) bool { return m == provision.ReadyMade })
	if !o.image && !dir.HasBase(o.manifest) && slices.Contains(all, provision.Copy) {
		return []provision.Method{provision.Copy}
	}
	return all
}
