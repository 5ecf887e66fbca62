package main

import "runtime/debug"

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
