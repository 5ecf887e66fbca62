package main

import (
	"runtime/debug"

	"github.com/blockmill/blockmill/blockio"
)

// arenas are the buffers of the daemon, by who waits for them: those who do must
// not wait for one another.
type arenas struct {
	// store has imports, exports, copies and the store itself; fetch what is
	// read ahead of URLs; nbd the requests of NBD clients.
	store, fetch, nbd *blockio.Arena
}

func newArenas(total size) arenas {
	part := func(eighths int64) *blockio.Arena { return blockio.NewArena(int64(total) / 8 * eighths) }
	return arenas{store: part(5), fetch: part(2), nbd: part(1)}
}

// collectAt is how much the heap may grow before it is collected, in percent: less
// than is usual, since buffers are elsewhere.
const collectAt = 50

// limitMemory keeps the Go heap within what the arena, which is not in it, leaves of
// the daemon's memory. GOMEMLIMIT, when somebody set it, stays.
func limitMemory(limit, arena size, getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(limit - arena))
	}
	if getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
}
