package main

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blockmill/blockmill/cmd/bytesize"
)

// The limit of the heap is that of the configuration until what is in use comes
// near it, and then above that; the log says so once.
func TestHeapLimit(t *testing.T) {
	old := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(old)
	percent := debug.SetGCPercent(100)
	defer debug.SetGCPercent(percent)
	held := make([]byte, 64<<20)
	runtime.GC()
	for limit, raised := range map[bytesize.Size]bool{300 << 20: false, 100 << 20: true} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			h := limitHeap(limit, 40<<20, func(string) string { return "" }, slog.New(slog.NewTextHandler(&log, nil)))
			ctx, cancel := context.WithTimeout(t.Context(), 3*followEvery+time.Millisecond)
			defer cancel()
			h.follow(ctx)
			if now := debug.SetMemoryLimit(-1); (now > int64(limit-40<<20)) != raised || raised && now < 80<<20 {
				t.Errorf("of %v the limit is %v", limit, bytesize.Size(now))
			}
			if n := strings.Count(log.String(), "memory.limit"); n != 0 != raised || n > 1 {
				t.Errorf("the log says %s", log.String())
			}
		})
	}
	runtime.KeepAlive(held)

	environ := map[string]string{"GOMEMLIMIT": "1GiB", "GOGC": "80"}
	debug.SetMemoryLimit(1 << 30)
	h := limitHeap(300<<20, 40<<20, func(name string) string { return environ[name] }, slog.New(slog.DiscardHandler))
	h.follow(t.Context()) // returns at once
	if now := debug.SetMemoryLimit(-1); now != 1<<30 {
		t.Errorf("somebody's own limit has become %v", bytesize.Size(now))
	}
}
