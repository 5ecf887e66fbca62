package provision

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// metadataNeed is the space that making any file may take beside its data.
const metadataNeed = 1 << 20

// Free is how many bytes of the directory's file system may still be used.
func (d *Directory) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.opts.Path, &st); err != nil {
		return 0, fmt.Errorf("ask for free space of %s: %w", d.opts.Path, err)
	}
	return int64(st.Bavail)*st.Bsize - max(d.opts.Reserve, 0), nil
}

// room is ErrNoSpace when so many bytes more would go into the reserve.
func (d *Directory) room(need int64) error {
	free, err := d.Free()
	if err != nil {
		return err
	}
	if need += metadataNeed; need > free {
		return fmt.Errorf("%s: %d bytes more, %d free beside the reserve: %w", d.opts.Path, need, max(free, 0), ErrNoSpace)
	}
	return nil
}
