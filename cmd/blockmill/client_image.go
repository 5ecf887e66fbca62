package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"

	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// images are the images of a daemon.
func images() resource[*compute.Image] {
	return resource[*compute.Image]{
		noun: "image", head: imageHead(), view: viewImage,
		find: (*remote.Client).Image, list: (*remote.Client).ListImages,
		name:     (*compute.Image).GetName,
		response: func() *compute.Image { return new(compute.Image) },
		remove: func(ctx context.Context, c *remote.Client, img *compute.Image) (*operation.Operation, error) {
			return c.Images.Delete(ctx, &compute.DeleteImageRequest{ImageId: img.Id})
		},
		update: func(ctx context.Context, c *remote.Client, img *compute.Image, ch changes) (*operation.Operation, error) {
			return c.Images.Update(ctx, &compute.UpdateImageRequest{
				ImageId: img.Id, UpdateMask: ch.mask, Name: ch.name, Description: ch.description,
				Labels: ch.labels, MinDiskSize: int64(ch.size),
			})
		},
	}
}

func (a *app) imageCommand() *cobra.Command {
	cmd := group("image", "Work on the images of a daemon")
	r := images()
	cmd.AddCommand(a.imageCreateCommand(), r.listCommand(a), r.getCommand(a), a.imageLatestCommand(),
		r.updateCommand(a, "min-disk-size", "min_disk_size", "the least size of a disk made from it"),
		r.deleteCommand(a), a.imageExportCommand())
	return cmd
}

// group is a command that only holds others.
func group(name, short string) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

// imageSource are the flags of which exactly one says what an image is made
// from.
type imageSource struct{ uri, file, image, disk, snapshot string }

func (s *imageSource) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.uri, "uri", "", "a URL, such as a pre-signed one")
	f.StringVar(&s.file, "file", "", "a file on the daemon's machine that the caller may read")
	f.StringVar(&s.image, "image", "", "another image")
	f.StringVar(&s.disk, "disk", "", "a disk")
	f.StringVar(&s.snapshot, "snapshot", "", "a snapshot")
	all := []string{"uri", "file", "image", "disk", "snapshot"}
	cmd.MarkFlagsOneRequired(all...)
	cmd.MarkFlagsMutuallyExclusive(all...)
}

// put sets the source of a request, finding what is named.
func (s *imageSource) put(ctx context.Context, c *remote.Client, req *compute.CreateImageRequest) error {
	switch {
	case s.uri != "":
		req.Source = &compute.CreateImageRequest_Uri{Uri: s.uri}
	case s.image != "":
		img, err := c.Image(ctx, s.image)
		if err != nil {
			return fmt.Errorf("image %s: %w", s.image, err)
		}
		req.Source = &compute.CreateImageRequest_ImageId{ImageId: img.Id}
	case s.disk != "":
		d, err := c.Disk(ctx, s.disk)
		if err != nil {
			return fmt.Errorf("disk %s: %w", s.disk, err)
		}
		req.Source = &compute.CreateImageRequest_DiskId{DiskId: d.Id}
	case s.snapshot != "":
		snap, err := c.Snapshot(ctx, s.snapshot)
		if err != nil {
			return fmt.Errorf("snapshot %s: %w", s.snapshot, err)
		}
		req.Source = &compute.CreateImageRequest_SnapshotId{SnapshotId: snap.Id}
	}
	return nil
}

var errOS = errors.New("want linux or windows")

// parseOS reads --os.
func parseOS(name string) (*compute.Os, error) {
	t, ok := compute.Os_Type_value[strings.ToUpper(name)]
	switch {
	case name == "":
		return nil, nil
	case !ok || t == 0:
		return nil, usageError{fmt.Errorf("bad os %q: %w", name, errOS)}
	}
	return &compute.Os{Type: compute.Os_Type(t)}, nil
}

func (a *app) imageLatestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "latest FAMILY",
		Short: "Show the newest image of a family",
		Args:  cobra.ExactArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				img, err := c.Images.GetLatestByFamily(cmd.Context(), &compute.GetImageLatestByFamilyRequest{FolderId: c.Folder(), Family: args[0]})
				if err != nil {
					return fmt.Errorf("get latest of family %s: %w", args[0], err)
				}
				v := viewImage(img)
				return a.print(v, v.table)
			})
		}),
	}
}
