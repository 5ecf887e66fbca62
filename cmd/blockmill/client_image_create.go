package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/cmd/blockmill/remote"
	"github.com/blockmill/blockmill/cmd/bytesize"
)

// imageCreate are the flags of image create.
type imageCreate struct {
	source                    imageSource
	finish                    finishFlags
	name, description, family string
	labels                    map[string]string
	products                  []string
	minDisk                   bytesize.Size
	os                        string
	pooled                    bool
	sha256, digest            string
}

func (a *app) imageCreateCommand() *cobra.Command {
	var f imageCreate
	cmd := &cobra.Command{
		Use:   "create --name N (--uri U | --file F | --image I | --disk D | --snapshot S)",
		Short: "Make an image",
		Long: `Make an image from a URL, a file on the daemon's machine, a disk, a snapshot or
another image. The format (qcow2, VMDK or raw) is found out; from disks,
snapshots and images made on the same node little or nothing is copied.

With --pooled the daemon keeps disks of the image ready, so that creating one
takes milliseconds.`,
		Example: `  blockmill image create --name debian --family debian --uri https://images.example/debian.qcow2
  blockmill image create --name golden --disk web-1 --pooled
  blockmill image create --name copy --image debian --async`,
		Args: cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				op, err := f.begin(cmd.Context(), c)
				if err == nil {
					got := new(compute.Image)
					err = a.finish(cmd.Context(), c, op, f.finish, ending{"import", got, func() viewed { return viewImage(got) }})
				}
				if err != nil {
					return fmt.Errorf("create image %s: %w", f.name, err)
				}
				return nil
			})
		}),
	}
	f.add(cmd)
	return cmd
}

func (f *imageCreate) add(cmd *cobra.Command) {
	f.source.add(cmd)
	f.finish.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "the name, one that no other image of the folder has")
	flags.StringVar(&f.description, "description", "", "a description")
	flags.StringVar(&f.family, "family", "", "the family that it is the newest of")
	flags.StringToStringVar(&f.labels, "label", nil, "a label, as KEY=VALUE; may be repeated")
	flags.StringArrayVar(&f.products, "product", nil, "a product id; may be repeated")
	flags.Var(&f.minDisk, "min-disk-size", "the least size of a disk made from it (default what fits)")
	flags.StringVar(&f.os, "os", "", "linux or windows")
	flags.BoolVar(&f.pooled, "pooled", false, "keep disks of it ready")
	flags.StringVar(&f.sha256, "sha256", "", "the SHA-256 that the file (--uri or --file) must have")
	flags.StringVar(&f.digest, "expect-digest", "", "the digest that the image must have")
}

// begin sends the request.
func (f *imageCreate) begin(ctx context.Context, c *remote.Client) (*operation.Operation, error) {
	guestOS, err := parseOS(f.os)
	if err != nil {
		return nil, err
	}
	req := &compute.CreateImageRequest{
		FolderId: c.Folder(), Name: f.name, Description: f.description, Labels: f.labels, Family: f.family,
		MinDiskSize: int64(f.minDisk), ProductIds: f.products, Os: guestOS, Pooled: f.pooled,
	}
	ctx = remote.Expect(ctx, f.sha256, f.digest)
	if f.source.file != "" {
		path, err := filepath.Abs(f.source.file) // the daemon is elsewhere
		if err != nil {
			return nil, err
		}
		op, err := c.CreateImageFromFile(ctx, path, req)
		return op, refusedFile(c, path, err)
	}
	if err := f.source.put(ctx, c, req); err != nil {
		return nil, err
	}
	return c.Images.Create(ctx, req)
}

// refusedFile says more of why a daemon takes no file where the caller knows more: it
// tells nobody whether there is a file that he may not read, and a caller that is not
// at its socket it does not know.
func refusedFile(c *remote.Client, path string, err error) error {
	switch status.Code(err) {
	case codes.InvalidArgument:
		if _, missing := os.Stat(path); errors.Is(missing, fs.ErrNotExist) {
			return usageError{missing}
		}
	case codes.PermissionDenied:
		if !c.AtSocket() {
			return fmt.Errorf("%w: files are taken at the daemon's socket alone, not at %s: name it with --endpoint", err, c.Endpoint())
		}
	}
	return err
}
