package disks

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/blockmill/blockmill/pool"
)

// Create makes a disk by our node; it is durable.
func (p *Place) Create(ctx context.Context, _ int) error {
	_, err := p.Node.CreateDisk(ctx, pool.Disk{Source: pool.Source{Image: p.Image.ID}})
	return err
}

// QEMUOverlay makes one by qemu-img create -b.
func (p *Place) QEMUOverlay(ctx context.Context, i int) error {
	return p.overlay(ctx, p.out("overlay", i))
}

// Reflink makes one by cp --reflink=always of the image's file.
func (p *Place) Reflink(ctx context.Context, i int) error {
	return p.reflink(ctx, p.out("reflink", i))
}

// DurableOverlay is QEMUOverlay, and then what makes it as durable as Create does:
// the file synced, and the directory.
func (p *Place) DurableOverlay(ctx context.Context, i int) error {
	to := p.out("durable-overlay", i)
	if err := p.overlay(ctx, to); err != nil {
		return err
	}
	return p.sync(ctx, to)
}

// DurableReflink is Reflink made durable in the same way.
func (p *Place) DurableReflink(ctx context.Context, i int) error {
	to := p.out("durable-reflink", i)
	if err := p.reflink(ctx, to); err != nil {
		return err
	}
	return p.sync(ctx, to)
}

func (p *Place) overlay(ctx context.Context, to string) error {
	return run(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", p.source, to)
}

func (p *Place) reflink(ctx context.Context, to string) error {
	return run(ctx, "cp", "--reflink=always", p.source, to)
}

// sync makes a new file durable by the program sync, which takes one after another
// what it is given.
func (p *Place) sync(ctx context.Context, file string) error {
	return run(ctx, "sync", file, p.dir)
}

// FullCopy makes one by qemu-img convert.
func (p *Place) FullCopy(ctx context.Context, i int) error {
	return run(ctx, "qemu-img", "convert", "-f", "raw", "-O", "raw", p.source, p.out("copy", i))
}

func (p *Place) out(what string, i int) string {
	return filepath.Join(p.dir, fmt.Sprintf("%s-%d", what, i))
}
