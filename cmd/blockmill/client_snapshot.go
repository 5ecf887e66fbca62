package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"

	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// snapshots are the snapshots of a daemon.
func snapshots() resource[*compute.Snapshot] {
	return resource[*compute.Snapshot]{
		noun: "snapshot", head: snapshotHead(), view: viewSnapshot,
		find: (*remote.Client).Snapshot, list: (*remote.Client).ListSnapshots,
		name:     (*compute.Snapshot).GetName,
		response: func() *compute.Snapshot { return new(compute.Snapshot) },
		remove: func(ctx context.Context, c *remote.Client, s *compute.Snapshot) (*operation.Operation, error) {
			return c.Snapshots.Delete(ctx, &compute.DeleteSnapshotRequest{SnapshotId: s.Id})
		},
		update: func(ctx context.Context, c *remote.Client, s *compute.Snapshot, ch changes) (*operation.Operation, error) {
			return c.Snapshots.Update(ctx, &compute.UpdateSnapshotRequest{
				SnapshotId: s.Id, UpdateMask: ch.mask, Name: ch.name, Description: ch.description, Labels: ch.labels,
			})
		},
	}
}

func (a *app) snapshotCommand() *cobra.Command {
	cmd := group("snapshot", "Work on the snapshots of a daemon")
	r := snapshots()
	cmd.AddCommand(a.snapshotCreateCommand(), r.listCommand(a), r.getCommand(a), r.updateCommand(a, "", "", ""), r.deleteCommand(a))
	return cmd
}

func (a *app) snapshotCreateCommand() *cobra.Command {
	var mode finishFlags
	var req compute.CreateSnapshotRequest
	var disk string
	cmd := &cobra.Command{
		Use:   "create --disk D [--name N]",
		Short: "Make a snapshot of a disk",
		Long: `Make a snapshot of a disk, as it is at one moment. Only what has changed since
the disk was made is read, where the file system can tell.`,
		Example: `  blockmill snapshot create --disk web-1 --name web-1-monday`,
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				d, err := c.Disk(cmd.Context(), disk)
				var op *operation.Operation
				if err == nil {
					req.FolderId, req.DiskId = c.Folder(), d.Id
					op, err = c.Snapshots.Create(cmd.Context(), &req)
				}
				if err == nil {
					got := new(compute.Snapshot)
					err = a.finish(cmd.Context(), c, op, mode, ending{"snapshot", got, func() viewed { return viewSnapshot(got) }})
				}
				if err != nil {
					return fmt.Errorf("create snapshot of disk %s: %w", disk, err)
				}
				return nil
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&disk, "disk", "", "the disk (required)")
	f.StringVar(&req.Name, "name", "", "the name, one that no other snapshot of the folder has")
	f.StringVar(&req.Description, "description", "", "a description")
	f.StringToStringVar(&req.Labels, "label", nil, "a label, as KEY=VALUE; may be repeated")
	_ = cmd.MarkFlagRequired("disk") // the flag exists
	mode.add(cmd)
	return cmd
}
