package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/convert"
)

// convertFlags are the flags of convert.
type convertFlags struct {
	src    sourceFlags
	dst    targetFlags
	run    runFlags
	expect expectFlag
}

func (a *app) convertCommand() *cobra.Command {
	var f convertFlags
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
			return a.convert(cmd.Context(), args[0], args[1], f)
		}),
	}
	f.src.add(cmd)
	f.dst.add(cmd)
	f.run.add(cmd)
	f.expect.add(cmd)
	return cmd
}

func (a *app) convert(ctx context.Context, from, to string, f convertFlags) error {
	start := time.Now()
	opts, err := f.dst.options()
	if err == nil {
		err = f.expect.validate()
	}
	if err != nil {
		return err
	}
	s, err := a.openSource(ctx, from, f.src)
	if err != nil {
		return err
	}
	defer s.close()
	how := writing{f.src.direct, opts, f.run, f.expect, "convert"}
	t, err := openTarget(to, s.Size(), how.create, how.direct, append(f.src.extents, from)...)
	if err != nil {
		return err
	}
	defer t.discard()
	if err := a.write(ctx, t, s, how); err != nil {
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

// writing is how an image is written.
type writing struct {
	direct directMode // of the target
	create convert.CreateOptions
	run    runFlags
	expect expectFlag
	act    string // as its progress is called
}

// write copies an image into a target and commits it.
func (a *app) write(ctx context.Context, t *target, img convert.Image, how writing) error {
	opts, stop := a.options(how.run, how.act)
	defer stop()
	how.create.Arena = opts.Arena
	w, err := convert.Create(t.dev, img.Size(), how.create)
	if err != nil {
		return err
	}
	if err := convert.Copy(ctx, how.expect.writer(w, img.Size()), img, opts); err != nil {
		return err
	}
	return t.commit()
}
