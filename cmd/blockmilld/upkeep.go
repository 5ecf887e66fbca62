package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/node"
	"github.com/blockmill/blockmill/api/operation"
)

// upkeep submits garbage collections and scrubs when they are due, and heals.
type upkeep struct {
	engine *operation.Engine
	keeper *keeper
	log    *slog.Logger

	collect, scrub time.Duration // between two of them; 0 is never
	repair         bool
	recompress     bool // with each collection

	healAgain time.Time // not before; of run alone
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
			u.collectGarbage(ctx)
		}
		u.heal(ctx)
		if u.scrubDue() {
			_, err := node.Scrub(ctx, u.engine, auth.Node, &blockmillpb.ScrubRequest{Repair: u.repair})
			u.report("scrub", err)
		}
	}
}

// collectGarbage submits a collection, unless the last one is under way: one comes
// after the other, and those that wait would keep workers from callers.
func (u *upkeep) collectGarbage(ctx context.Context) {
	if u.pending(new(blockmillpb.CollectGarbageRequest)) {
		return
	}
	_, err := node.CollectGarbage(ctx, u.engine, auth.Node, &blockmillpb.CollectGarbageRequest{Recompress: u.recompress})
	u.report("garbage collection", err)
}

// healEvery is how long to wait after a healing that left something.
const healEvery = 10 * time.Minute

// heal rebuilds what reads and writes have found missing or damaged, and waits for
// it: nothing else that is due is as urgent. A scrub that runs heals too.
func (u *upkeep) heal(ctx context.Context) {
	if _, running := u.keeper.scrubber.Running(); running || !u.repair || !u.keeper.ailing() || time.Now().Before(u.healAgain) {
		return
	}
	r, err := u.keeper.heal(ctx)
	if ctx.Err() != nil {
		return
	}
	if err = errors.Join(append(r.Errs, err)...); err != nil || r.Left > 0 {
		u.healAgain = time.Now().Add(healEvery)
		u.log.Warn("shards are not all healed", "rebuilt", r.Rebuilt, "left", r.Left, "reason", err)
		return
	}
	u.log.Info("healed shards", "objects", r.Objects, "rebuilt", r.Rebuilt)
}

// scrubDue says whether the last scrub is long ago. A new store is not scrubbed at
// once: its first scrub is due when something could have gone bad.
func (u *upkeep) scrubDue() bool {
	if _, running := u.keeper.scrubber.Running(); running || u.scrub <= 0 {
		return false
	}
	if u.pending(nil) {
		return false
	}
	last := u.keeper.scrubber.State().Rows.FinishedAt
	if last.IsZero() {
		last = started
	}
	return time.Since(last) >= u.scrub
}

// pending says whether an operation of the node's own waits or runs, one with
// metadata of a kind unless that is nil.
func (u *upkeep) pending(kind proto.Message) bool {
	page, _, err := u.engine.List(operation.Query{Pending: true})
	return err != nil || slices.ContainsFunc(page, func(op *opb.Operation) bool {
		return kind == nil || op.GetMetadata().MessageIs(kind)
	})
}

// started is when the process did.
var started = time.Now()

func (u *upkeep) report(what string, err error) {
	if err != nil {
		u.log.Warn("the node's own work was not begun", "work", what, "reason", err)
	}
}
