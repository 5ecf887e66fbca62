package provision

import (
	"context"
	"errors"

	"github.com/blockmill/blockmill/blockio"
)

// owned is a file that counts only when a disk's record names it, or when it carries
// that: what is half-made goes at the next start, so it needs no other name meanwhile.
type owned struct {
	dir  *Directory
	dev  *blockio.Device // nil when there is nothing left to do
	path string
}

// makeOwned begins a file of a disk and has fill write it, unsynced.
func (d *Directory) makeOwned(ctx context.Context, b *Backing, o *owned, fill func(*blockio.Device) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := d.step("create"); err != nil {
		return err
	}
	path := d.path(disksDir, fileName(b))
	dev, err := blockio.OpenDevice(path, blockio.DeviceOptions{Write: true, Create: true, Exclusive: true, NoFollow: true, Perm: fileMode})
	if err != nil {
		return err
	}
	*o = owned{d, dev, path}
	if err = fill(dev); err == nil && b.Size > dev.Size() {
		err = dev.Truncate(b.Size)
	}
	if err != nil {
		return o.drop(errors.Join(err, dev.Close()))
	}
	return nil
}

// finish makes the file durable, with the record if it can carry that. Where its
// sync makes its name durable as well, that is all.
func (o *owned) finish(record []byte) (carries bool, err error) {
	if o.dev == nil {
		return false, nil
	}
	d := o.dir
	if err = d.step("carry"); err == nil {
		carries, err = carry(o.path, record)
	}
	if err == nil {
		err = o.dev.Sync()
	}
	err = errors.Join(err, o.dev.Close())
	if err == nil && !d.syncsNames {
		err = d.step("sync directory")
	}
	if err == nil && !d.syncsNames {
		err = d.sync(disksDir)
	}
	if err != nil {
		return false, o.drop(err)
	}
	o.dev = nil
	return carries, nil
}

// drop removes the file after an error, unless that is the end of the process.
func (o *owned) drop(err error) error {
	o.dev = nil
	if died(err) {
		return err
	}
	return errors.Join(err, removeFile(o.path))
}
