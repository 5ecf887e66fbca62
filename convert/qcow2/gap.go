package qcow2

import (
	"context"

	"github.com/blockmill/blockmill/blockio"
)

// gap knows where the file has a hole, of a source that tells (blockio.Mapper).
// Tables there are zeros and need not be read: a small file can have very many.
// It serves one goroutine.
type gap struct {
	mapper blockio.Mapper // nil of a source that does not tell
	size   int64          // of the file
	last   blockio.Extent // that was asked for
}

func (im *Image) newGap() gap {
	m, _ := im.src.(blockio.Mapper)
	return gap{mapper: m, size: im.geo.fileSize}
}

// covers says that the n bytes at off are in a hole. A source that cannot tell
// after all has none: then the bytes are read, and that may be the error.
func (g *gap) covers(ctx context.Context, off, n int64) bool {
	if g.mapper == nil || off < 0 || off >= g.size {
		return false
	}
	if off < g.last.Offset || off >= g.last.End() {
		g.last = blockio.Extent{}
		for e, err := range g.mapper.Extents(ctx, off, g.size-off) {
			if err == nil {
				g.last = e
			}
			break
		}
	}
	return g.last.State == blockio.Hole && off+n <= g.last.End()
}
