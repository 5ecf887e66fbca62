package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// attachView says how to use a disk.
type attachView struct {
	Path   string `json:"path"`
	Format string `json:"format"`
	Method string `json:"method"`
	NBDURI string `json:"nbd_uri"`
	QEMU   string `json:"qemu"`
}

func viewAttachment(at *blockmillpb.Attachment) attachView {
	return attachView{at.Path, at.Format, at.Method, at.NbdUri, at.Qemu}
}

func (v attachView) table(w io.Writer) {
	row(w, "path", v.Path)
	row(w, "format", v.Format)
	row(w, "method", v.Method)
	row(w, "nbd uri", v.NBDURI)
	row(w, "qemu", v.QEMU)
}

func (a *app) diskAttachCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "attach DISK",
		Short: "Tell how to use a disk",
		Long: `Tell how to use a disk: its file, its NBD export, and an argument for QEMU. The
format is declared, and need not and must not be guessed: the guest writes what
it likes to a raw disk.`,
		Example:           `  qemu-system-x86_64 $(blockmill disk attach web-1 -o json | jq -r .qemu)`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: disks().complete(a),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				d, err := c.Disk(cmd.Context(), args[0])
				var at *blockmillpb.Attachment
				if err == nil {
					at, err = c.Attach(cmd.Context(), d.Id)
				}
				if err != nil {
					return fmt.Errorf("attach disk %s: %w", args[0], err)
				}
				v := viewAttachment(at)
				return a.print(v, v.table)
			})
		}),
	}
}
