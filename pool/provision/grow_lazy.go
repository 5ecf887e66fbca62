package provision

import (
	"errors"
	"fmt"
	"os"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/pool/lazy"
)

// growLazy gives a lazy disk a larger size: first its file, which the map does not
// speak of yet, and then its map.
func (d *Directory) growLazy(data *blockio.Device, b Backing, size int64) error {
	if size > data.Size() {
		if err := grow(data, size); err != nil {
			return err
		}
	}
	err := d.growMap(d.path(disksDir, string(b.ID)+mapSuffix), size)
	if errors.Is(err, lazy.ErrRange) {
		err = fmt.Errorf("%w: %w", ErrMethod, err)
	}
	return err
}

// growMap puts a map of a larger disk in the place of a map, in one step.
func (d *Directory) growMap(path string, size int64) (err error) {
	opts := blockio.DeviceOptions{NoFollow: true, Direct: blockio.DirectOff}
	old, err := blockio.OpenDevice(path, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	if err := d.step("create"); err != nil {
		return err
	}
	tmp := d.path(tmpDir, fmt.Sprintf("t%d", d.serial.Add(1)))
	opts.Write, opts.Create, opts.Exclusive, opts.Perm = true, true, true, fileMode
	table, err := blockio.OpenDevice(tmp, opts)
	if err != nil {
		return err
	}
	err = errors.Join(fillMap(table, old, size), table.Close())
	if err == nil {
		err = d.step("rename")
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		if !died(err) {
			err = errors.Join(err, removeFile(tmp))
		}
		return err
	}
	if err := d.step("sync directory"); err != nil {
		return err
	}
	return d.sync(disksDir)
}

func fillMap(table, old *blockio.Device, size int64) error {
	length, err := lazy.Grown(old, table, size)
	if err != nil {
		return err
	}
	if err := table.Truncate(length); err != nil {
		return err
	}
	return table.Sync()
}
