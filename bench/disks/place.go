package disks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// Place is a directory with an image, and a node whose store and disks are in
// it.
type Place struct {
	dir    string
	source string // the image, on this file system
	undo   []func() error

	// FillRate bounds what the node writes in the background, in bytes a
	// second; 0 is no bound. It is set before Import.
	FillRate int64

	Node  *pool.Node
	Image pool.Image
}

// loopBlocks is how many MiB are in the file that a mount is in.
const loopBlocks = 2 << 10

// Open makes a file system of the kind (ext4 is the directory's own) in scratch
// and copies an image to it. Whatever happens, Close is to be called.
func Open(ctx context.Context, scratch, kind, image string) (p *Place, err error) {
	p = &Place{dir: filepath.Join(scratch, "place")}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return p, err
	}
	p.onClose(func() error { return os.RemoveAll(p.dir) }) // the last to be done, when nothing is mounted
	if kind != "ext4" {
		if err := p.mount(ctx, filepath.Join(scratch, kind+".img"), kind); err != nil {
			return p, err
		}
	}
	// What was removed here before is not what is measured.
	if err := run(ctx, "sync", "-f", scratch); err != nil {
		return p, err
	}
	p.source = filepath.Join(p.dir, "source.raw")
	if err := run(ctx, "cp", "--sparse=always", "--reflink=auto", image, p.source); err != nil {
		return p, err
	}
	return p, nil
}

func (p *Place) mount(ctx context.Context, file, kind string) error {
	for _, cmd := range [][]string{
		// All of it is written, as the blocks of a disk are: where space is only
		// allocated, the file system below journals each first write, and a btrfs,
		// which syncs to another place each time, waits a quarter longer for that.
		{"dd", "if=/dev/zero", "of=" + file, "bs=1M", fmt.Sprintf("count=%d", loopBlocks), "oflag=direct", "status=none"},
		{"mkfs." + kind, "-q", file},
	} {
		if err := run(ctx, cmd...); err != nil {
			return err
		}
	}
	out, err := exec.CommandContext(ctx, "losetup", "-f", "--show", "--direct-io=on", file).Output()
	if err != nil {
		return fmt.Errorf("losetup: %w", err)
	}
	dev := strings.TrimSpace(string(out))
	p.onClose(func() error { return errors.Join(run(context.Background(), "losetup", "-d", dev), os.Remove(file)) })
	args := []string{"mount", dev, p.dir}
	if kind == "btrfs" {
		// The disks of virtual machines call themselves rotational. On those
		// btrfs waits for a tick of the clock (4 ms) before it commits what
		// several processes sync at a time, which it does not do on an SSD.
		args = []string{"mount", "-o", "ssd", dev, p.dir}
	}
	if err := run(ctx, args...); err != nil {
		return err
	}
	p.onClose(func() error { return run(context.Background(), "umount", p.dir) })
	return nil
}

// Import opens a node whose store and disks are in the place, and gives it the
// image.
func (p *Place) Import(ctx context.Context) error {
	dir := filepath.Join(p.dir, "store")
	shape := storedir.Shape{Data: 1}
	if err := storedir.Init(ctx, dir, shape); err != nil {
		return err
	}
	sd, err := storedir.Open(ctx, dir, storedir.Options{Journal: true})
	if err != nil {
		return err
	}
	p.onClose(func() error { return sd.Close(context.Background()) })
	opts := cas.Options{Volume: sd.Volume, IndexDir: sd.Index()}
	if err := cas.Init(ctx, opts); err != nil {
		return err
	}
	store, err := cas.Open(ctx, opts)
	if err != nil {
		return err
	}
	p.onClose(store.Close)
	p.Node, err = pool.Open(ctx, pool.Options{
		Store: store,
		Disks: []provision.Options{{Path: filepath.Join(p.dir, "disks"), FillRate: p.FillRate}},
	})
	if err != nil {
		return err
	}
	p.onClose(p.Node.Close)
	p.Image, err = p.importImage(ctx)
	return err
}

func (p *Place) importImage(ctx context.Context) (img pool.Image, err error) {
	dev, err := blockio.OpenDevice(p.source, blockio.DeviceOptions{})
	if err != nil {
		return img, err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	content, format, err := convert.Open(dev, dev.Size(), convert.Raw, convert.OpenOptions{})
	if err != nil {
		return img, err
	}
	img.Name, img.Pooled = "image", true
	if img, err = p.Node.ReserveImage(img); err != nil {
		return img, err
	}
	return p.Node.FillImage(ctx, img.ID, pool.Filling{Content: content, Format: format})
}

// Fill sets how many disks the pool keeps, none for 0, and waits until they are
// ready.
func (p *Place) Fill(ctx context.Context, n int) error {
	s := ready.Settings{Capacity: n}
	if n == 0 {
		s.Max = -1
	}
	if _, err := p.Node.SetPool(ctx, p.Image.ID, s); err != nil {
		return err
	}
	var after uint64
	for {
		events, more := p.Node.Pools().Events(after)
		if len(events) > 0 {
			after = events[len(events)-1].Serial
		}
		st, err := p.Node.Pools().Stat(ready.Key(p.Image.ID))
		if err != nil {
			return err
		}
		if st.Ready == n && st.Making == 0 {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *Place) onClose(f func() error) { p.undo = append(p.undo, f) }

// Close takes everything down.
func (p *Place) Close() error {
	var errs []error
	for i := len(p.undo) - 1; i >= 0; i-- {
		errs = append(errs, p.undo[i]())
	}
	return errors.Join(errs...)
}

func run(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
