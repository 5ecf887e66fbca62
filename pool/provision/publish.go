package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
)

// make gives a new file the contents that fill writes and syncs, and the name:
// in one step, and durably.
func (d *Directory) make(ctx context.Context, sub, name string, fill func(*blockio.Device) error) (err error) {
	tmp := d.path(tmpDir, fmt.Sprintf("t%d", d.serial.Add(1)))
	if err := d.step("create"); err != nil {
		return err
	}
	dev, err := blockio.OpenDevice(tmp, blockio.DeviceOptions{Write: true, Create: true, Exclusive: true, NoFollow: true, Perm: fileMode})
	if err != nil {
		return err
	}
	err = fill(dev)
	err = errors.Join(err, dev.Close())
	if err == nil {
		err = d.publish(ctx, tmp, sub, name)
	}
	if err != nil && !died(err) {
		err = errors.Join(err, removeFile(tmp))
	}
	return err
}

// deathError is the error of a Step: nothing is cleaned up after it.
type deathError struct{ error }

func (e *deathError) Unwrap() error { return e.error }

func died(err error) bool {
	var death *deathError
	return errors.As(err, &death)
}

// step is called before a change.
func (d *Directory) step(what string) error {
	if err := d.opts.Step(what); err != nil {
		return &deathError{fmt.Errorf("%s: %w", what, err)}
	}
	return nil
}

func (d *Directory) publish(ctx context.Context, tmp, sub, name string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := d.step("rename"); err != nil {
		return err
	}
	to := d.path(sub, name)
	if err := unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE); err != nil {
		return fmt.Errorf("rename to %s: %w", to, err)
	}
	if err := d.step("sync directory"); err != nil {
		return err
	}
	if err := d.sync(sub); err != nil {
		if died(err) {
			return err
		}
		return errors.Join(err, removeFile(to))
	}
	return nil
}

// sync makes the changes of a sub-directory durable.
func (d *Directory) sync(sub string) error {
	return d.syncs[sub].Do(func() error { return d.syncDir(d.path(sub)) })
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
