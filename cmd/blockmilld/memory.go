package main

import (
	"context"
	"log/slog"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/cmd/bytesize"
)

// arenas are the buffers of the daemon, by who waits for them: those who do must
// not wait for one another.
type arenas struct {
	// store has imports, exports, copies and the store itself; fetch what is
	// read ahead of URLs; nbd the requests of NBD clients.
	store, fetch, nbd *blockio.Arena
}

func newArenas(total bytesize.Size) arenas {
	part := func(eighths int64) *blockio.Arena { return blockio.NewArena(int64(total) / 8 * eighths) }
	return arenas{store: part(5), fetch: part(2), nbd: part(1)}
}

// collectAt is how much the heap may grow before it is collected, in percent: less
// than is usual, since buffers are elsewhere.
const collectAt = 50

// heap keeps the Go heap within what the arena, which is not in it, leaves of the
// daemon's memory.
type heap struct {
	limit int64 // in bytes; 0: somebody else has set it
	log   *slog.Logger
}

// limitHeap sets the limit. GOMEMLIMIT and GOGC, when somebody set them, stay.
func limitHeap(limit, arena bytesize.Size, getenv func(string) string, log *slog.Logger) heap {
	h := heap{log: log}
	if getenv("GOMEMLIMIT") == "" {
		h.limit = int64(limit - arena)
		debug.SetMemoryLimit(h.limit)
	}
	if getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	return h
}

// followEvery is how often the heap is looked at.
const followEvery = time.Second

// follow raises the limit above what is in use until the context ends: the records
// of things and operations are in memory, and a limit close to what they take would
// have the daemon do nothing but collect.
func (h heap) follow(ctx context.Context) {
	if h.limit == 0 {
		return
	}
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	warned := false
	for {
		live := liveHeap()
		limit := h.fit(live)
		debug.SetMemoryLimit(limit)
		if limit > h.limit && !warned {
			warned = true
			h.log.Warn("what is listed takes more memory than memory.limit leaves beside memory.arena; the limit is exceeded",
				"heap", bytesize.Size(live).String(), "limit", bytesize.Size(h.limit).String())
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// fit is the limit with so many bytes in use: a quarter more is for what comes and
// goes.
func (h heap) fit(live int64) int64 { return max(h.limit, live/4*5) }

// liveHeap is what the last collection has left, in bytes.
func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}
