package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"

	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// Where the keys of a bucket come from, as S3 clients name them.
const (
	accessKeyVariable = "AWS_ACCESS_KEY_ID"
	secretKeyVariable = "AWS_SECRET_ACCESS_KEY"
)

func (a *app) imageExportCommand() *cobra.Command {
	var mode finishFlags
	var dst compute.ExportDestination
	cmd := &cobra.Command{
		Use:   "export IMAGE --bucket B",
		Short: "Write an image to an S3 bucket",
		Long: `Write an image as a qcow2 with a manifest to a bucket. The keys are those in
` + accessKeyVariable + ` and ` + secretKeyVariable + `, else the daemon's own.`,
		Example:           `  blockmill image export debian --s3-endpoint https://s3.example --bucket images --prefix debian/`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: images().complete(a),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				img, err := c.Image(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("export image %s: %w", args[0], err)
				}
				req := &compute.ExportImageRequest{ImageId: img.Id, Destination: &dst}
				if id := os.Getenv(accessKeyVariable); id != "" {
					req.Credentials = &compute.ExportS3Credentials{AccessKeyId: id, SecretAccessKey: os.Getenv(secretKeyVariable)}
				}
				op, err := c.Images.Export(cmd.Context(), req)
				if err == nil {
					got := new(compute.ExportResponse)
					err = a.finish(cmd.Context(), c, op, mode, ending{"export", got, func() viewed { return exportView{got.Bucket, got.ManifestKey} }})
				}
				if err != nil {
					return fmt.Errorf("export image %s: %w", args[0], err)
				}
				return nil
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&dst.Endpoint, "s3-endpoint", "", "the S3 server (default the daemon's)")
	f.StringVar(&dst.Region, "region", "", "its region")
	f.StringVar(&dst.Bucket, "bucket", "", "the bucket (required)")
	f.StringVar(&dst.Prefix, "prefix", "", "what the names of the objects begin with")
	_ = cmd.MarkFlagRequired("bucket") // the flag exists
	mode.add(cmd)
	return cmd
}

// exportView is where an export is.
type exportView struct {
	Bucket      string `json:"bucket"`
	ManifestKey string `json:"manifest_key"`
}

func (v exportView) cells() []any { return []any{v.Bucket, v.ManifestKey} }

func (v exportView) table(w io.Writer) {
	row(w, "bucket", v.Bucket)
	row(w, "manifest", v.ManifestKey)
}
