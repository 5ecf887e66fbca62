package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"

	"github.com/blockmill/blockmill/cmd/blockmill/remote"
	"github.com/blockmill/blockmill/cmd/bytesize"
)

// disks are the disks of a daemon.
func disks() resource[*compute.Disk] {
	return resource[*compute.Disk]{
		noun: "disk", head: diskHead(), view: viewDisk,
		find: (*remote.Client).Disk, list: (*remote.Client).ListDisks,
		name:     (*compute.Disk).GetName,
		response: func() *compute.Disk { return new(compute.Disk) },
		remove: func(ctx context.Context, c *remote.Client, d *compute.Disk) (*operation.Operation, error) {
			return c.Disks.Delete(ctx, &compute.DeleteDiskRequest{DiskId: d.Id})
		},
		update: func(ctx context.Context, c *remote.Client, d *compute.Disk, ch changes) (*operation.Operation, error) {
			return c.Disks.Update(ctx, &compute.UpdateDiskRequest{
				DiskId: d.Id, UpdateMask: ch.mask, Name: ch.name, Description: ch.description,
				Labels: ch.labels, Size: int64(ch.size),
			})
		},
	}
}

func (a *app) diskCommand() *cobra.Command {
	cmd := group("disk", "Work on the disks of a daemon")
	r := disks()
	cmd.AddCommand(a.diskCreateCommand(), r.listCommand(a), r.getCommand(a),
		r.updateCommand(a, "size", "size", "the new size, no smaller than before"), r.deleteCommand(a), a.diskAttachCommand())
	return cmd
}

// localZone is the zone of disks for which none is given: the API wants one.
const localZone = "local"

// diskCreate are the flags of disk create.
type diskCreate struct {
	finish            finishFlags
	name, description string
	labels            map[string]string
	image, snapshot   string
	size, blockSize   bytesize.Size
	kind, zone        string
	method            string
}

func (a *app) diskCreateCommand() *cobra.Command {
	var f diskCreate
	cmd := &cobra.Command{
		Use:   "create --name N [--image I | --snapshot S] [--size SIZE]",
		Short: "Make a disk",
		Long: `Make a disk from an image or a snapshot, or an empty one. It is at least as
large as what it is made from, which is its size when none is given.`,
		Example: `  blockmill disk create --name web-1 --image debian
  blockmill disk create --name data --size 100G`,
		Args: cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				op, err := f.begin(cmd.Context(), c)
				if err == nil {
					got := new(compute.Disk)
					err = a.finish(cmd.Context(), c, op, f.finish, ending{"create", got, func() viewed { return viewDisk(got) }})
				}
				if err != nil {
					return fmt.Errorf("create disk %s: %w", f.name, err)
				}
				return nil
			})
		}),
	}
	f.finish.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "the name, one that no other disk of the folder has")
	flags.StringVar(&f.description, "description", "", "a description")
	flags.StringToStringVar(&f.labels, "label", nil, "a label, as KEY=VALUE; may be repeated")
	flags.StringVar(&f.image, "image", "", "the image to make it from")
	flags.StringVar(&f.snapshot, "snapshot", "", "the snapshot to make it from")
	flags.Var(&f.size, "size", "the size (default that of the image or snapshot)")
	flags.Var(&f.blockSize, "block-size", "the size of its blocks (default 4K)")
	flags.StringVar(&f.kind, "type", "", "the type of disk, which is kept and means nothing here")
	flags.StringVar(&f.method, "method", "", "how to make it: reflink, ready, overlay, copy or lazy (default the first that the node's disk directories can)")
	flags.StringVar(&f.zone, "zone", localZone, "the zone, which is kept and means nothing here")
	cmd.MarkFlagsMutuallyExclusive("image", "snapshot")
	cmd.MarkFlagsOneRequired("image", "snapshot", "size")
	return cmd
}

// begin sends the request.
func (f *diskCreate) begin(ctx context.Context, c *remote.Client) (*operation.Operation, error) {
	req := &compute.CreateDiskRequest{
		FolderId: c.Folder(), Name: f.name, Description: f.description, Labels: f.labels,
		TypeId: f.kind, ZoneId: f.zone, Size: int64(f.size), BlockSize: int64(f.blockSize),
	}
	var least int64
	switch {
	case f.image != "":
		img, err := c.Image(ctx, f.image)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", f.image, err)
		}
		least = img.MinDiskSize
		req.Source = &compute.CreateDiskRequest_ImageId{ImageId: img.Id}
	case f.snapshot != "":
		s, err := c.Snapshot(ctx, f.snapshot)
		if err != nil {
			return nil, fmt.Errorf("snapshot %s: %w", f.snapshot, err)
		}
		least = s.DiskSize
		req.Source = &compute.CreateDiskRequest_SnapshotId{SnapshotId: s.Id}
	}
	if req.Size == 0 {
		req.Size = diskSizeFor(least)
	}
	return c.Disks.Create(remote.WithDiskMethod(ctx, f.method), req)
}

// The sizes that a disk may have: from the least on, in steps.
const (
	leastDisk = 4 << 20
	diskStep  = 4 << 20
)

// diskSizeFor is the size of the least disk that n bytes fit into.
func diskSizeFor(n int64) int64 { return max(leastDisk, (n+diskStep-1)/diskStep*diskStep) }
