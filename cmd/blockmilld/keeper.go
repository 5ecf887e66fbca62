package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/scrub"
	"github.com/blockmill/blockmill/blockio/stripe"
	"github.com/blockmill/blockmill/cmd/release"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
)

// keeper looks after the store of the daemon.
type keeper struct {
	store    *store
	scrubber *scrub.Scrubber
	node     *pool.Node
	rate     int64 // of scrubs, bytes a second
}

// Stat is of node.Keeper.
func (k *keeper) Stat(ctx context.Context) (*blockmillpb.NodeStat, error) {
	st, err := k.store.Stat(ctx)
	if err != nil {
		return nil, fmt.Errorf("stat store: %w", err)
	}
	layout, n := k.store.dir.Layout(), k.node.Counts()
	out := &blockmillpb.NodeStat{
		Version: release.Version(version),
		Chunks:  st.Chunks, Segments: st.Segments, LogicalBytes: st.LogicalBytes, DataBytes: st.DataBytes,
		UniqueBytes: st.UniqueBytes, StoredBytes: st.StoredBytes, ReclaimableBytes: st.ReclaimableBytes,
		DataShards: int32(layout.Data), ParityShards: int32(layout.Parity),
		Images: int64(n.Images), Snapshots: int64(n.Snapshots), Disks: int64(n.Disks),
		Shards: k.shards(), DiskDirectories: k.directories(n.DiskBytes),
	}
	if at := k.scrubber.State().Rows.FinishedAt; !at.IsZero() {
		out.LastScrub = timestamppb.New(at)
	}
	return out, nil
}

func (k *keeper) shards() []*blockmillpb.Shard {
	var all []*blockmillpb.Shard
	states := k.store.dir.Volume.Shards()
	for i, s := range k.store.dir.Shards() {
		shard := &blockmillpb.Shard{Index: int32(i), Path: s.Path, State: states[i].Status.String(), FreeBytes: freeBytes(s.Path)}
		if err := cmp.Or(s.Err, states[i].Failure); err != nil {
			shard.Reason = err.Error()
		}
		// What a shard that is not there uses is not known.
		shard.UsedBytes, _ = s.Used()
		all = append(all, shard)
	}
	return all
}

func (k *keeper) directories(used map[string]int64) []*blockmillpb.DiskDirectory {
	var all []*blockmillpb.DiskDirectory
	for _, dir := range k.node.Directories() {
		all = append(all, &blockmillpb.DiskDirectory{
			Path: dir.Dir(), FileSystem: fileSystem(dir.Dir()), Reflink: dir.Can(provision.Reflink),
			FreeBytes: freeBytes(dir.Dir()), UsedBytes: used[dir.Dir()],
		})
	}
	return all
}

// ailing says whether there is something to heal: objects that reads or writes found
// damaged or missing, or a shard that came back.
func (k *keeper) ailing() bool {
	v := k.store.dir.Volume
	if _, parity := v.Geometry(); parity == 0 {
		return false
	}
	return v.Stats().Queued > 0 || slices.ContainsFunc(v.Shards(), func(s stripe.ShardState) bool {
		return s.Status == stripe.ShardLagging || s.Status == stripe.ShardRebuilding
	})
}

func (k *keeper) heal(ctx context.Context) (stripe.HealReport, error) {
	return k.store.dir.Volume.Heal(ctx, stripe.HealOptions{Rate: k.rate})
}

// Scrub is of node.Keeper.
func (k *keeper) Scrub(ctx context.Context, req *blockmillpb.ScrubRequest, progress func(done, total int64)) (*blockmillpb.ScrubReport, error) {
	opts := scrub.Options{
		Repair: req.GetRepair(), Rate: k.rate,
		Progress: func(p scrub.Progress) {
			if p.Phase != scrub.PhaseHeal {
				progress(p.Done, p.Total)
			}
		},
	}
	if req.GetFull() {
		opts.Full = scrub.FullNow
	}
	report, err := k.scrubber.Run(ctx, func(context.Context) (*cas.Store, error) { return k.store.Store, nil }, opts)
	if err != nil {
		return nil, fmt.Errorf("scrub node: %w", err)
	}
	out := &blockmillpb.ScrubReport{
		Unrepaired: report.Unrepaired(), Repaired: report.Rows.Repaired, ReadBytes: report.Rows.Bytes, Resumed: report.Resumed,
	}
	for _, r := range report.Unreadable {
		for _, owner := range k.node.Owners(r.Manifest) {
			out.Problems = append(out.Problems, fmt.Sprintf("%s: %d bytes at %d cannot be read: %v", owner, r.Length, r.Offset, r.Err))
		}
	}
	for _, p := range report.Problems {
		out.Problems = append(out.Problems, p.Error())
	}
	out.Problems = out.Problems[:min(len(out.Problems), maxProblems)]
	return out, nil
}

// maxProblems is how many problems of a scrub its report names, what cannot be read
// first.
const maxProblems = 20

// CollectGarbage is of node.Keeper.
func (k *keeper) CollectGarbage(ctx context.Context, req *blockmillpb.CollectGarbageRequest) (*blockmillpb.GarbageReport, error) {
	st, err := k.store.GC(ctx, cas.GCOptions{Recompress: req.GetRecompress()})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("collect garbage: %w", err), context.Cause(ctx))
	}
	return &blockmillpb.GarbageReport{
		Manifests: st.Manifests, Segments: st.Segments, MovedBytes: st.MovedBytes, ReclaimedBytes: st.ReclaimedBytes,
	}, nil
}
