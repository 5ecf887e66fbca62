package lazy

import "fmt"

// Sync makes all that was written durable. After a failure it fails forever:
// what is on disk is not known.
func (d *Disk) Sync() error {
	d.sync.Lock()
	defer d.sync.Unlock()
	if d.failed != nil {
		return fmt.Errorf("sync lazy disk: %w: %w", ErrPoisoned, d.failed)
	}
	if d.failed = d.flush(); d.failed != nil {
		return fmt.Errorf("sync lazy disk: %w", d.failed)
	}
	return nil
}

// sectorRun is sectors of the map that follow one another, as they are to be on
// disk.
type sectorRun struct {
	first int
	bytes []byte
}

// flush makes the data durable and then the map. The map's sectors are taken
// before the data is synced: a bit is set when its block has been written, so
// what they say is durable after that.
func (d *Disk) flush() error {
	runs := d.dirtySectors()
	if err := d.files.Data.Sync(); err != nil {
		return err
	}
	if len(runs) == 0 {
		return nil
	}
	for _, r := range runs {
		if _, err := d.files.Map.WriteAt(r.bytes, headerSize+int64(r.first)*sectorSize); err != nil {
			return fmt.Errorf("write map: %w", err)
		}
	}
	if err := d.files.Map.Sync(); err != nil {
		return fmt.Errorf("sync map: %w", err)
	}
	return nil
}

func (d *Disk) dirtySectors() []sectorRun {
	var runs []sectorRun
	for i := range d.bits.sectors() {
		if !d.bits.dirty[i].Load() {
			continue
		}
		if k := len(runs) - 1; k < 0 || runs[k].first+len(runs[k].bytes)/sectorSize != i {
			runs = append(runs, sectorRun{first: i})
		}
		r := &runs[len(runs)-1]
		r.bytes = append(r.bytes, make([]byte, sectorSize)...)
		d.bits.encode(r.bytes[len(r.bytes)-sectorSize:], i)
	}
	return runs
}
