package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// powerNode is a node whose store and disks are on two file systems.
type powerNode struct {
	*pool.Node
	store  *cas.Store
	volume *blockio.DirVolume
}

// powerJournal is the length of a journal that turns while the power is there.
const powerJournal = 4 * blockio.LeastJournal

// openPower opens the node of a mounted device, and makes it when there is none.
// Rate bounds what it does in the background; told hears of what goes wrong there.
func openPower(ctx context.Context, dir string, rate int64, told io.Writer) (*powerNode, error) {
	v, err := blockio.NewDirVolume(filepath.Join(dir, "store"), blockio.DirVolumeOptions{})
	if err == nil {
		err = v.StartJournal(powerJournal)
	}
	if err != nil {
		return nil, err
	}
	opts := cas.Options{
		Volume: v, Arena: blockio.NewArena(24 << 20), SegmentSize: 4 << 20, BufferSize: 1 << 20, Buffers: 4, ReadBuffers: 2, IndexMemory: 1 << 20,
	}
	if err := cas.Init(ctx, opts); err != nil && !errors.Is(err, cas.ErrStoreExists) {
		return nil, err
	}
	s, err := cas.Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	n, err := pool.Open(ctx, pool.Options{
		Store: s, Arena: blockio.NewArena(24 << 20),
		Disks:  []provision.Options{{Path: filepath.Join(dir, "disks", "dir"), Reserve: -1, FillRate: rate, Step: linger}},
		NBDURI: func(id pool.DiskID) string { return "nbd:" + string(id) },
		Logger: slog.New(slog.NewTextHandler(told, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return nil, errors.Join(err, s.Close(), v.Close())
	}
	return &powerNode{n, s, v}, nil
}

// linger makes what lies between two changes of a disk directory last, at times,
// so that the power may go there.
func linger(string) error {
	if rand.IntN(4) == 0 {
		<-time.After(rand.N(20 * time.Millisecond))
	}
	return nil
}

func (n *powerNode) Close() error {
	return errors.Join(n.Node.Close(), n.store.Close(), n.volume.Close())
}

// powerWorker does one thing after another to what it has made.
type powerWorker struct {
	node  *powerNode
	log   *powerLog
	rng   *rand.Rand
	image pool.ImageID // the one that disks are made from

	disks     []pool.DiskID
	snapshots []pool.SnapshotID
}

// run works until stop is closed.
func (w *powerWorker) run(ctx context.Context, stop <-chan struct{}, step func(context.Context) error) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
}

// step does something with disks or snapshots.
func (w *powerWorker) step(ctx context.Context) error {
	if len(w.disks) == 0 || len(w.disks) < 4 && w.rng.IntN(3) == 0 {
		return w.create(ctx)
	}
	id := w.disks[w.rng.IntN(len(w.disks))]
	switch w.rng.IntN(8) {
	case 0, 1:
		return w.delete(ctx, id)
	case 2:
		return w.grow(ctx, id)
	case 3:
		return w.snapshot(ctx, id)
	case 4:
		return w.deleteSnapshot(ctx)
	}
	return w.write(ctx, id)
}

func (w *powerWorker) create(ctx context.Context) error {
	d := diskOf("", w.image)
	d.Size = []int64{0, 0, 8 << 20}[w.rng.IntN(3)]
	holds := w.log.now(string(w.image))
	switch w.rng.IntN(6) {
	case 0:
		d.Source, holds = pool.Source{}, lifeState{}
	case 1:
		if len(w.snapshots) > 0 {
			d.Source = pool.Source{Snapshot: w.snapshots[0]}
			holds, d.Size = w.log.now(string(w.snapshots[0])), 0
		}
	default:
		methods := w.node.Directories()[0].Methods()
		methods = append(slices.DeleteFunc(methods, func(m provision.Method) bool { return m == provision.ReadyMade }), "", "", provision.Lazy)
		d.Method = methods[w.rng.IntN(len(methods))]
	}
	d, err := w.node.ReserveDisk(d)
	if err != nil {
		return err
	}
	w.log.begin("disk", string(d.ID), made(holds, d.Size))
	if _, err := w.node.MakeDisk(ctx, d.ID, nil); err != nil {
		return err
	}
	w.log.ack(string(d.ID))
	w.disks = append(w.disks, d.ID)
	return nil
}

func (w *powerWorker) delete(ctx context.Context, id pool.DiskID) error {
	w.log.begin("disk", string(id), gone)
	if err := w.node.DeleteDisk(ctx, id); err != nil {
		return err
	}
	w.log.ack(string(id))
	w.disks = slices.DeleteFunc(w.disks, func(d pool.DiskID) bool { return d == id })
	return nil
}

func (w *powerWorker) grow(ctx context.Context, id pool.DiskID) error {
	d, err := w.node.Disk(id)
	if err != nil || d.Size >= powerDiskSize {
		return err
	}
	size := d.Size + 4<<20
	w.log.begin("disk", string(id), grownTo(size))
	if _, err := w.node.GrowDisk(ctx, id, size); err != nil {
		return err
	}
	w.log.ack(string(id))
	return nil
}

// write is a guest that writes and flushes.
func (w *powerWorker) write(ctx context.Context, id pool.DiskID) (err error) {
	_, release, err := w.node.UseDisk(id, true)
	if err != nil {
		return err
	}
	defer release()
	o, err := w.node.OpenDisk(ctx, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if o.ReadOnly {
		return nil
	}
	dev := o.Device.(interface {
		io.WriterAt
		Sync() error
	})
	p := bytes.Repeat(fmt.Appendf(nil, "%16x", w.rng.Uint64()), 1+w.rng.IntN(2000))
	off := w.rng.Int64N(o.Size - int64(len(p)))
	w.log.begin("disk", string(id), written(p, off))
	if _, err := dev.WriteAt(p, off); err != nil {
		return err
	}
	if err := dev.Sync(); err != nil {
		return err
	}
	w.log.ack(string(id))
	return nil
}

func (w *powerWorker) snapshot(ctx context.Context, id pool.DiskID) error {
	if len(w.snapshots) > 2 {
		return nil
	}
	s, err := w.node.ReserveSnapshot(pool.Snapshot{SourceDisk: id})
	if err != nil {
		return err
	}
	w.log.begin("snapshot", string(s.ID), made(w.log.now(string(id)), 0))
	if _, err := w.node.MakeSnapshot(ctx, s.ID, nil); err != nil {
		return err
	}
	w.log.ack(string(s.ID))
	w.snapshots = append(w.snapshots, s.ID)
	return nil
}

func (w *powerWorker) deleteSnapshot(ctx context.Context) error {
	if len(w.snapshots) == 0 {
		return nil
	}
	id := w.snapshots[0]
	w.log.begin("snapshot", string(id), gone)
	if err := w.node.DeleteSnapshot(ctx, id); err != nil {
		return err
	}
	w.log.ack(string(id))
	w.snapshots = w.snapshots[1:]
	return nil
}

// imageLife makes an image, disks from it that outlive it, and collects garbage.
func (w *powerWorker) imageLife(ctx context.Context) error {
	seed := w.rng.Uint64()
	var err error
	if w.image, err = w.makeImage(ctx, seed, w.rng.IntN(2) == 0); err != nil {
		return err
	}
	for range 1 + w.rng.IntN(2) {
		if err := w.create(ctx); err != nil {
			return err
		}
	}
	w.log.begin("image", string(w.image), gone)
	if err := w.node.DeleteImage(ctx, w.image); err != nil {
		return err
	}
	w.log.ack(string(w.image))
	for len(w.disks) > 2 {
		if err := w.delete(ctx, w.disks[0]); err != nil {
			return err
		}
	}
	_, err = w.node.store.GC(ctx, cas.GCOptions{})
	return err
}

func (w *powerWorker) makeImage(ctx context.Context, seed uint64, pooled bool) (pool.ImageID, error) {
	p := guestBytes(seed)
	src, _, err := w.node.OpenSource(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		return "", err
	}
	img := named("")
	img.Pooled = pooled
	if img, err = w.node.ReserveImage(img); err != nil {
		return "", err
	}
	w.log.begin("image", string(img.ID), made(lifeState{first: p}, int64(len(p))))
	if _, err := w.node.FillImage(ctx, img.ID, pool.Filling{Content: src, Format: convert.Raw}); err != nil {
		return "", err
	}
	w.log.ack(string(img.ID))
	return img.ID, nil
}

// adopt shares out what a node has to workers.
func adopt(n *powerNode, workers []*powerWorker) {
	i := 0
	for d := range n.Disks(pool.Query{Folder: "f"}) {
		w := workers[i%len(workers)]
		w.disks = append(w.disks, d.ID)
		i++
	}
	for s := range n.Snapshots(pool.Query{Folder: pool.DefaultFolder}) {
		w := workers[i%len(workers)]
		w.snapshots = append(w.snapshots, s.ID)
		i++
	}
}

// setPowerPool has the pool of an image keep disks ready.
func setPowerPool(ctx context.Context, n *powerNode, id pool.ImageID) error {
	_, err := n.SetPool(ctx, id, ready.Settings{Capacity: 3})
	return err
}
