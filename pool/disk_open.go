package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool/provision"
)

// Device is an open disk. Its other abilities, to write and to zero among them,
// are those that its methods say: a blockio.Device's for raw disks, a
// lazy.Disk's for lazy ones. Overlays are only read.
type Device interface {
	io.ReaderAt
	blockio.Mapper
	Size() int64
}

// OpenDisk is a disk that was opened. All who have a disk open at a time share
// its Device.
type OpenDisk struct {
	Disk
	Device Device
	// ReadOnly says that the Device cannot be written.
	ReadOnly bool

	close func() error
}

// Close ends the use; a second one does nothing.
func (o *OpenDisk) Close() error { return o.close() }

// openDisks are the disks that are open. The zero value works.
type openDisks struct {
	mu sync.Mutex // held while a disk is opened, closed or grown; taken before a row's writing
	by map[DiskID]*diskFiles
}

// diskFiles are the open files of a disk.
type diskFiles struct {
	device   Device
	readOnly bool
	close    func() error
	users    int
}

// bar keeps disks from being opened until admit is called; ErrInUse when
// somebody has this one open.
func (o *openDisks) bar(id DiskID) (admit func(), err error) {
	o.mu.Lock()
	if o.by[id] != nil {
		o.mu.Unlock()
		return nil, fmt.Errorf("disk %s is open: %w", id, ErrInUse)
	}
	return o.mu.Unlock, nil
}

// OpenDisk opens a disk for reading and writing, beside others who have it open;
// who writes takes it first, by UseDisk.
func (n *Node) OpenDisk(ctx context.Context, id DiskID) (*OpenDisk, error) {
	n.open.mu.Lock()
	defer n.open.mu.Unlock()
	d, err := n.readyDisk(id)
	if err != nil {
		return nil, err
	}
	f := n.open.by[id]
	if f == nil {
		if f, err = n.openFiles(ctx, d); err != nil {
			return nil, fmt.Errorf("open disk %s: %w", id, err)
		}
		if n.open.by == nil {
			n.open.by = make(map[DiskID]*diskFiles)
		}
		n.open.by[id] = f
	}
	f.users++
	return &OpenDisk{
		Disk: d, Device: f.device, ReadOnly: f.readOnly,
		close: sync.OnceValue(func() error { return n.closeDisk(id, f) }),
	}, nil
}

func (n *Node) closeDisk(id DiskID, f *diskFiles) error {
	n.open.mu.Lock()
	defer n.open.mu.Unlock()
	if f.users--; f.users > 0 {
		return nil
	}
	delete(n.open.by, id)
	if err := f.close(); err != nil {
		return fmt.Errorf("close disk %s: %w", id, err)
	}
	return nil
}

// openFiles opens the files of a disk in the way of its method.
func (n *Node) openFiles(ctx context.Context, d Disk) (*diskFiles, error) {
	dir, err := n.directory(d.Dir)
	if err != nil {
		return nil, err
	}
	switch {
	case d.lazy():
		l, err := dir.OpenLazy(ctx, d.backing(), n.pace(dir, d.ID))
		if err != nil {
			return nil, err
		}
		return &diskFiles{device: l, close: l.Close}, nil
	case d.Format != convert.Raw:
		c, err := dir.Open(ctx, d.backing())
		if err != nil {
			return nil, err
		}
		return &diskFiles{device: overlay{c}, readOnly: true, close: c.Close}, nil
	}
	dev, err := dir.OpenRaw(d.backing())
	if err != nil {
		return nil, err
	}
	closeDev := func() error { return errors.Join(dev.Sync(), dev.Close()) }
	return &diskFiles{device: dev, close: closeDev}, nil
}

// overlay is an overlay as a Device: what it does not have is the base's, and
// may be data.
type overlay struct{ *provision.Content }

func (o overlay) Extents(ctx context.Context, off, length int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		for e, err := range o.Content.Extents(ctx, off, length) {
			if e.State == blockio.Hole {
				e.State, e.Host = blockio.Data, blockio.NoHost
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// pace lets the hydration of a disk go on: behind foreground work, within the
// directory's budget, and for as long as there is the disk.
func (n *Node) pace(dir *provision.Directory, id DiskID) func(context.Context, int) error {
	return func(ctx context.Context, bytes int) error {
		if _, err := n.readyDisk(id); err != nil {
			return err
		}
		if err := n.stock.GiveWay(ctx); err != nil {
			return err
		}
		return dir.Pace(ctx, bytes)
	}
}
