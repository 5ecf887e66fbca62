package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/node"
	"github.com/blockmill/blockmill/api/operation"
)

// self is who submits the node's own operations.
const self = "blockmilld"

// upkeep submits garbage collections and scrubs when they are due.
type upkeep struct {
	engine *operation.Engine
	keeper *keeper
	log    *slog.Logger

	collect, scrub time.Duration // between two of them; 0 is never
	repair         bool
	recompress     bool // with each collection
}

// lookEvery is how often the node looks whether something is due.
const lookEvery = time.Minute

// run submits what is due until the context ends.
func (u *upkeep) run(ctx context.Context) {
	ticker := time.NewTicker(min(lookEvery, max(u.collect, time.Second)))
	defer ticker.Stop()
	collected := time.Now()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if u.collect > 0 && time.Since(collected) >= u.collect {
			collected = time.Now()
			_, err := node.CollectGarbage(ctx, u.engine, self, &blockmillpb.CollectGarbageRequest{Recompress: u.recompress})
			u.report("garbage collection", err)
		}
		if u.scrubDue() {
			_, err := node.Scrub(ctx, u.engine, self, &blockmillpb.ScrubRequest{Repair: u.repair})
			u.report("scrub", err)
		}
	}
}

// scrubDue says whether the last scrub is long ago. A new store is not scrubbed at
// once: its first scrub is due when something could have gone bad.
func (u *upkeep) scrubDue() bool {
	if _, running := u.keeper.scrubber.Running(); running || u.scrub <= 0 {
		return false
	}
	if u.pending() {
		return false
	}
	last := u.keeper.scrubber.State().Rows.FinishedAt
	if last.IsZero() {
		last = started
	}
	return time.Since(last) >= u.scrub
}

// pending says whether an operation of the node's own waits or runs.
func (u *upkeep) pending() bool {
	page, _, err := u.engine.List(operation.Query{Size: 1, Pending: true})
	return err != nil || len(page) > 0
}

// started is when the process did.
var started = time.Now()

func (u *upkeep) report(what string, err error) {
	if err != nil {
		u.log.Warn("the node's own work was not begun", "work", what, "reason", err)
	}
}
