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
	return run(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", p.source, p.out("overlay", i))
}

// Reflink makes one by cp --reflink=always of the image's file.
func (p *Place) Reflink(ctx context.Context, i int) error {
	return run(ctx, "cp", "--reflink=always", p.source, p.out("reflink", i))
}

// FullCopy makes one by qemu-img convert.
func (p *Place) FullCopy(ctx context.Context, i int) error {
	return run(ctx, "qemu-img", "convert", "-f", "raw", "-O", "raw", p.source, p.out("copy", i))
}

func (p *Place) out(what string, i int) string {
	return filepath.Join(p.dir, fmt.Sprintf("%s-%d", what, i))
}
