package convert

import (
	"github.com/blockmill/blockmill/blockio"
)

// arenaPerWindow is the share of a pipeline's own arena for each window in
// flight: the window, and as much again for the readers' caches and scratch.
const arenaPerWindow = 2 * WindowSize

// Options are what the pipelines have in common. The zero value works.
type Options struct {
	// Arena gives the windows' memory; nil makes one for the call.
	Arena *blockio.Arena
	// Workers is the number of windows in flight; 0 chooses by the number of
	// processors.
	Workers int
	// Share, when set, lowers Workers while other calls that have it are busy.
	Share *Share
	// Background, when set, is called in each goroutine that carries windows
	// before it does. What it does to its thread ends with the goroutine.
	Background func()
	// Progress, when set, is called as windows complete, never concurrently,
	// with the bytes done and the bytes that there are to do: those of data
	// extents. The total is 0 while it is not known.
	Progress func(done, total int64)
}

func (o Options) withDefaults() Options {
	if o.Workers <= 0 {
		// A worker reads, computes and writes in turn, so more of them than
		// processors keep the disk and the processors both busy.
		o.Workers = min(max(4*blockio.Processors(), 4), 16)
	}
	if o.Arena == nil {
		o.Arena = blockio.NewArena(int64(o.Workers) * arenaPerWindow)
	}
	return o
}
