package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/convert"
)

func (a *app) convertCommand() *cobra.Command {
	var src sourceFlags
	var dst targetFlags
	var run runFlags
	var expect expectFlag
	cmd := &cobra.Command{
		Use:   "convert [-f FMT] [-O FMT] SRC DST",
		Short: "Convert an image to another format",
		Long: `Convert an image. DST is a file or a block device. A file that exists is
replaced once the new one is complete and durable; when that fails the old one
stays as it was. A block device is written in place and must be at least as
large as the image.

A VMDK in several files is given by its text descriptor, and each of the files
that it refers to by --extent: nothing that an image names is opened.

SRC may be a URL. It is read in place, in parallel ranges; only what a server
without ranges sends is kept, in a file without a name. Addresses that are not
public have to be allowed.`,
		Example: `  blockmill convert debian.qcow2 debian.raw
  blockmill convert -f raw -O qcow2 -c zstd disk.raw disk.qcow2
  blockmill convert https://images.example/debian.qcow2 debian.raw
  blockmill convert -f vmdk --extent disk-s001.vmdk --extent disk-s002.vmdk disk.vmdk disk.raw`,
		Args: cobra.ExactArgs(2),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			return a.convert(cmd.Context(), args[0], args[1], src, dst, run, expect)
		}),
	}
	src.add(cmd)
	dst.add(cmd)
	run.add(cmd)
	expect.add(cmd)
	return cmd
}

func (a *app) convert(ctx context.Context, from, to string, src sourceFlags, dst targetFlags, run runFlags, expect expectFlag) error {
	start := time.Now()
	dst.direct = src.direct
	opts, err := dst.options()
	if err == nil {
		err = expect.validate()
	}
	if err != nil {
		return err
	}
	s, err := a.openSource(ctx, from, src)
	if err != nil {
		return err
	}
	defer s.close()
	t, err := openTarget(to, s.Size(), opts, dst.direct, append(src.extents, from)...)
	if err != nil {
		return err
	}
	defer t.discard()
	if err := a.write(ctx, t, s, opts, run, expect, "convert"); err != nil {
		return fmt.Errorf("convert %s to %s: %w", s.name, to, err)
	}
	result := struct {
		SourceFormat convert.Format `json:"source_format"`
		Format       convert.Format `json:"format"`
		VirtualSize  int64          `json:"virtual_size"`
		Seconds      float64        `json:"seconds"`
	}{s.format, opts.Format, s.Size(), time.Since(start).Seconds()}
	if a.output == outputJSON {
		return a.print(result, nil)
	}
	return nil
}

// write copies an image into a target and commits it.
func (a *app) write(ctx context.Context, t *target, img convert.Image, create convert.CreateOptions, run runFlags, expect expectFlag, act string) error {
	opts, stop := a.options(run, act)
	defer stop()
	create.Arena = opts.Arena
	w, err := convert.Create(t.dev, img.Size(), create)
	if err != nil {
		return err
	}
	if err := convert.Copy(ctx, expect.writer(w, img.Size()), img, opts); err != nil {
		return err
	}
	return t.commit()
}
