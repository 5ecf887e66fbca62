package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/nbd"
	"github.com/blockmill/blockmill/convert"
)

func (a *app) serveCommand() *cobra.Command {
	var src sourceFlags
	var flags serveFlags
	var writable bool
	cmd := &cobra.Command{
		Use:   "serve [-f FMT] [--writable] [--socket P | --listen ADDR] SRC",
		Short: "Serve an image to NBD clients",
		Long: `Serve what the guest of an image would see to NBD clients, until a signal comes.
Nothing is changed, but with --writable, which takes raw images only.`,
		Example: `  blockmill serve --socket /run/debian.sock debian.qcow2
  blockmill serve -f raw --writable --socket disk.sock disk.raw`,
		Args: cobra.ExactArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			if err := a.serveSource(cmd.Context(), args[0], src, writable, flags); err != nil {
				return fmt.Errorf("serve %s: %w", shown(args[0]), err)
			}
			return nil
		}),
	}
	src.add(cmd)
	flags.add(cmd)
	cmd.Flags().BoolVar(&writable, "writable", false, "let clients write to a raw image")
	return cmd
}

var errNotWritable = usageError{errors.New("only raw images can be writable")}

func (a *app) serveSource(ctx context.Context, path string, src sourceFlags, writable bool, flags serveFlags) (err error) {
	s, err := a.openSource(ctx, path, src)
	if err != nil {
		return unwrapAct(err)
	}
	defer s.close()
	export := nbd.Export{Listing: nbd.Listing{Name: filepath.Base(s.name)}, Device: s.Image, ReadOnly: !writable}
	switch {
	case s.format == convert.Raw && writable:
		d, err := blockio.OpenDevice(path, blockio.DeviceOptions{Direct: src.direct.mode(), Write: true})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.Sync(), d.Close()) }()
		export.Device = d
	case s.format == convert.Raw:
		export.Device = s.files[0]
	case writable:
		return errNotWritable
	}
	return a.serve(ctx, nbd.List{export}, flags)
}

// served is what is printed once clients may come.
type served struct {
	Name string `json:"name"`
	URI  string `json:"nbd_uri"`
	Size int64  `json:"virtual_size"`
}

// drainTime is how long clients' requests under way may take once the service
// is to end.
const drainTime = 10 * time.Second

// serve serves exports until ctx is done.
func (a *app) serve(ctx context.Context, exports nbd.List, flags serveFlags) error {
	sec, err := flags.security()
	if err != nil {
		return err
	}
	l, err := flags.listener()
	if err != nil {
		return err
	}
	first := exports[0]
	answer := served{Name: first.Name, Size: first.Device.Size(), URI: nbd.URI(l.Addr(), first.Name, sec.Required)}
	if err := a.print(answer, func(w io.Writer) { fmt.Fprintln(w, answer.URI) }); err != nil {
		return errors.Join(err, l.Close())
	}
	server := nbd.New(exports, nbd.Options{Logger: a.logger()})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l, sec) }()
	select {
	case err = <-ended: // the listener broke
		return errors.Join(err, server.Close())
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err = server.Shutdown(drain)
	if e := <-ended; !errors.Is(e, nbd.ErrClosed) {
		err = errors.Join(err, e)
	}
	return err
}
