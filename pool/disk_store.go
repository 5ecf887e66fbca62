package pool

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/provision"
)

// MakeSnapshot stores what the source disk of a reserved snapshot holds, and
// makes it Ready. The disk must not be open for writing: ErrInUse. Only what has
// changed since the disk was made is read, where the file system can tell.
func (n *Node) MakeSnapshot(ctx context.Context, id SnapshotID, progress func(done, total int64)) (Snapshot, error) {
	s, err := n.snapshots.get(id)
	if err != nil || s.Status == Ready {
		return s, err
	}
	defer n.snapshots.release(id) // unless it is committed
	err = n.storeDisk(ctx, s.SourceDisk, progress, func(c Contents) (err error) {
		s.Contents = c
		s, err = n.snapshots.commit(ctx, s)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("make snapshot %s: %w", id, err)
	}
	return s, nil
}

// MakeImageOfDisk makes a reserved image of the disk that is its source, as
// MakeSnapshot makes a snapshot. The disk must hold what has the digest, unless
// that is nil.
func (n *Node) MakeImageOfDisk(ctx context.Context, id ImageID, digest *cas.Digest, progress func(done, total int64)) (Image, error) {
	img, err := n.images.get(id)
	if err != nil || img.Status == Ready {
		return img, err
	}
	defer n.images.release(id) // unless it is committed
	err = n.storeDisk(ctx, img.Source.Disk, progress, func(c Contents) (err error) {
		img.Contents = c
		if err = c.checkDigest(digest); err == nil {
			img, err = n.commitImage(ctx, img)
		}
		return err
	})
	if err != nil {
		return img, fmt.Errorf("make image %s: %w", id, err)
	}
	return img, nil
}

// storeDisk stores what a disk holds, and keeps it until commit has written a
// record that does.
func (n *Node) storeDisk(ctx context.Context, id DiskID, progress func(done, total int64), commit func(Contents) error) (err error) {
	d, release, err := n.UseDisk(id, false)
	if err != nil {
		return err
	}
	defer release()
	dir, err := n.directory(d.Dir)
	if err == nil {
		err = dir.CheckUnused(d.backing())
	}
	if err != nil {
		return err
	}
	defer n.stock.Foreground()()
	content, closeContent, err := n.openContent(ctx, dir, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeContent()) }()
	session, err := n.opts.Store.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	st, err := n.newDiskStorer(ctx, d, content, session, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	info, err := st.run(ctx)
	if err == nil {
		err = commit(contentsOf(info))
	}
	return err
}

// openContent opens what a disk holds. A lazy disk is shared with who else has
// it open.
func (n *Node) openContent(ctx context.Context, dir *provision.Directory, d Disk) (*provision.Content, func() error, error) {
	if !d.lazy() {
		c, err := dir.Open(ctx, d.backing())
		if err != nil {
			return nil, nil, err
		}
		return c, c.Close, nil
	}
	o, err := n.OpenDisk(ctx, d.ID)
	if err != nil {
		return nil, nil, err
	}
	l, ok := o.Device.(*provision.LazyDisk)
	if !ok { // it has come over in the meantime
		d = o.Disk
		if err := o.Close(); err != nil {
			return nil, nil, err
		}
		return n.openContent(ctx, dir, d)
	}
	c, err := l.Content()
	if err != nil {
		return nil, nil, errors.Join(err, o.Close())
	}
	return c, o.Close, nil
}

// diskStorer stores a disk window by window.
type diskStorer struct {
	content *provision.Content
	base    *cas.Image // what unchanged windows are of; nil without
	arena   *blockio.Arena
	dst     *cas.ImageWriter
	// touched are the windows that must be read, when that is known; others
	// are the base's, and zeros beyond its end.
	touched  map[int64]bool
	known    bool
	whole    bool // all must be read
	progress func(done, total int64)
}

func (n *Node) newDiskStorer(ctx context.Context, d Disk, c *provision.Content, session *cas.Session, progress func(done, total int64)) (*diskStorer, error) {
	st := &diskStorer{content: c, arena: n.opts.Arena, progress: progress}
	if progress == nil {
		st.progress = func(int64, int64) {}
	}
	runs, known, err := c.Changed(ctx)
	if err != nil {
		return nil, err
	}
	if m, ok := d.Backing.Manifest(); ok && known {
		st.base, err = n.opts.Store.OpenImage(ctx, m)
		if errors.Is(err, cas.ErrNotFound) {
			err = nil // the image and its bytes are gone
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case st.base != nil:
		st.known, st.touched = true, windowsOf(runs)
	case d.Method == provision.Overlay:
		st.whole = true
	default:
		st.touched = make(map[int64]bool)
		for e, err := range c.Extents(ctx, 0, c.Size()) {
			if err != nil {
				return nil, err
			}
			if e.State == blockio.Data {
				addWindows(st.touched, e.Offset, e.End())
			}
		}
	}
	if st.dst, err = session.CreateImage(c.Size()); err != nil {
		return nil, errors.Join(err, st.close())
	}
	return st, nil
}

func (st *diskStorer) close() error {
	if st.base == nil {
		return nil
	}
	return st.base.Close()
}

func windowsOf(runs []provision.Run) map[int64]bool {
	w := make(map[int64]bool)
	for _, r := range runs {
		addWindows(w, r.Offset, r.Offset+r.Length)
	}
	return w
}

func addWindows(w map[int64]bool, off, end int64) {
	for i := off / cas.WindowSize; i*cas.WindowSize < end; i++ {
		w[i] = true
	}
}

// storeWorkers is how many windows are read at a time.
const storeWorkers = 4

func (st *diskStorer) run(ctx context.Context) (cas.ImageInfo, error) {
	size := st.content.Size()
	windows := (size + cas.WindowSize - 1) / cas.WindowSize
	g, workCtx := errgroup.WithContext(ctx)
	g.SetLimit(storeWorkers)
	for i := range windows {
		if workCtx.Err() != nil {
			break
		}
		if !st.whole && !st.touched[i] && !st.known {
			continue // zeros
		}
		g.Go(func() error { return st.window(workCtx, i, st.whole || st.touched[i]) })
		st.progress(min((i+1)*cas.WindowSize, size), size)
	}
	if err := g.Wait(); err != nil {
		return cas.ImageInfo{}, err
	}
	if ctx.Err() != nil {
		return cas.ImageInfo{}, context.Cause(ctx)
	}
	return st.dst.Commit(ctx)
}

// window stores a window: from the base's entries if it may.
func (st *diskStorer) window(ctx context.Context, i int64, read bool) error {
	if !read {
		if i*cas.WindowSize >= st.base.Size() {
			return nil // zeros
		}
		if ok, err := st.dst.PutWindowOf(ctx, st.base, i); err != nil || ok {
			return err
		}
	}
	off := i * cas.WindowSize
	n := min(cas.WindowSize, st.content.Size()-off)
	buf, err := st.arena.Get(ctx, int(n))
	if err != nil {
		return err
	}
	defer buf.Release()
	m, err := st.content.ReadAt(buf.Bytes(), off)
	if int64(m) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read disk at %d: %w", off, err)
	}
	return st.dst.PutWindow(ctx, i, buf.Bytes())
}
