package storedir

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// AutoReserve reserves of each file system 64 MiB or a hundredth, whichever is
// more, but of a small one a tenth at most.
const AutoReserve = -1

const leastReserve = 64 << 20

// Guarded is the volume, but writing fails with ENOSPC before the space that is
// free on the file system of a shard, or of the index, falls below the reserve:
// the room that the index and the collection of garbage need.
func (d *Dir) Guarded(reserve int64) blockio.Volume {
	g := &guarded{Volume: d.Volume, reserve: reserve, dirs: []string{d.path}}
	for i := range d.shards {
		if s := &d.shards[i]; s.volume != nil {
			g.dirs = append(g.dirs, s.Path)
		}
	}
	return g
}

type guarded struct {
	*stripe.Volume
	reserve int64
	dirs    []string
}

// Create implements blockio.Volume.
func (g *guarded) Create(ctx context.Context, name string) (blockio.Writer, error) {
	if err := g.check(0); err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	w, err := g.Volume.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &guardedWriter{w, g}, nil
}

type guardedWriter struct {
	blockio.Writer
	guard *guarded
}

// WriteAt implements io.WriterAt.
func (w *guardedWriter) WriteAt(p []byte, off int64) (int, error) {
	if err := w.guard.check(int64(len(p))); err != nil {
		return 0, err
	}
	return w.Writer.WriteAt(p, off)
}

// ample is how many times a reservation must be free beyond the reserve.
const ample = 16

// Reserve implements blockio.Reserver. Space taken ahead must not make others
// fail: it is taken only where there is plenty.
func (w *guardedWriter) Reserve(size int64) {
	if w.guard.check(ample*size) == nil {
		blockio.Reserve(w.Writer, size)
	}
}

// check says whether so many bytes may be written.
func (g *guarded) check(n int64) error {
	for _, dir := range g.dirs {
		if err := Room(dir, n, g.reserve); err != nil {
			return err
		}
	}
	return nil
}

// Room says whether n more bytes below a directory leave the reserve of its file
// system alone; ENOSPC.
func Room(dir string, n, reserve int64) error {
	free, total := Space(dir)
	reserve = Kept(reserve, total)
	if free-n < reserve {
		return fmt.Errorf("%d bytes are free, %d are kept for the index and for gc: %w", free, reserve,
			&fs.PathError{Op: "write below", Path: dir, Err: unix.ENOSPC})
	}
	return nil
}

// Kept is how much of a file system of so many bytes a reserve keeps free.
func Kept(reserve, total int64) int64 {
	if reserve < 0 {
		return min(max(leastReserve, total/100), total/10)
	}
	return reserve
}

// Space is what is free of a directory's file system, and its size; as much as there
// may be when it does not tell.
func Space(dir string) (free, total int64) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return math.MaxInt64, 0
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize
}

// Used is the bytes of the files of a shard.
func (s *Shard) Used() (int64, error) {
	var n int64
	err := filepath.WalkDir(s.Path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
