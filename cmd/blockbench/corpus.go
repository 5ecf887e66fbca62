package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/blockmill/blockmill/bench/corpus"
	"github.com/blockmill/blockmill/cmd/bytesize"
	"github.com/spf13/cobra"
)

func corpusCommand() *cobra.Command {
	opts := corpus.Options{}
	size := bytesize.Size(4 << 30)
	cmd := &cobra.Command{
		Use:   "corpus [DIR]",
		Short: "Make the images that the cases are run on (default var/corpus)",
		Long: `Make the images that the cases are run on: Debian systems, installed from the
packages of this machine's mirror (takes root and debootstrap), in all
formats. With --image, given up to three times, images of yours take the
systems' place: a system, the same one upgraded, another of its release. It
takes about 12 GiB, and goes on where it was interrupted.`,
		Example: "  blockbench corpus var/corpus\n  blockbench corpus --image mine.qcow2 --image upgraded.qcow2 var/mine",
		Args:    usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Dir = "var/corpus"
			if len(args) > 0 {
				opts.Dir = args[0]
			}
			opts.Size, opts.Log = int64(size), cmd.ErrOrStderr()
			if err := corpus.Make(cmd.Context(), opts); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), opts.Dir)
			return nil
		},
	}
	cmd.Flags().Var(&size, "size", "size of the disks of the systems")
	cmd.Flags().StringArrayVar(&opts.Images, "image", nil, "an image to take in the place of a system")
	return cmd
}

// ensureCorpus makes the corpus when a size is asked for and there is none.
// Without that, the cases say what they lack: it takes minutes and root.
func ensureCorpus(cmd *cobra.Command, dir string, size bytesize.Size) error {
	if _, err := os.Stat(filepath.Join(dir, "a.raw")); err == nil || !cmd.Flags().Changed("size") {
		return nil
	}
	return corpus.Make(cmd.Context(), corpus.Options{Dir: dir, Size: int64(size), Log: cmd.ErrOrStderr()})
}
