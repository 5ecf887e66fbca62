package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/blockmill/blockmill/bench/corpus"
	"github.com/spf13/cobra"
)

func corpusCommand() *cobra.Command {
	opts := corpus.Options{}
	size := bytesFlag(4 << 30)
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
func ensureCorpus(cmd *cobra.Command, dir string, size bytesFlag) error {
	if _, err := os.Stat(filepath.Join(dir, "a.raw")); err == nil || !cmd.Flags().Changed("size") {
		return nil
	}
	return corpus.Make(cmd.Context(), corpus.Options{Dir: dir, Size: int64(size), Log: cmd.ErrOrStderr()})
}

// bytesFlag is a size on the command line: a number with K, M, G or T after it.
type bytesFlag int64

const sizeUnits = "KMGT"

func (b *bytesFlag) String() string {
	n, unit := int64(*b), -1
	for n > 0 && n%1024 == 0 && unit < len(sizeUnits)-1 {
		n, unit = n/1024, unit+1
	}
	if unit < 0 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%d%c", n, sizeUnits[unit])
}

func (b *bytesFlag) Set(s string) error {
	digits, shift := s, 0
	if i := strings.IndexAny(strings.ToUpper(s), sizeUnits); i >= 0 && i == len(s)-1 {
		digits, shift = s[:i], 10*(1+strings.IndexByte(sizeUnits, strings.ToUpper(s)[i]))
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n<<shift>>shift != n {
		return fmt.Errorf("bad size %q: want a number, and K, M, G or T", s)
	}
	*b = bytesFlag(n << shift)
	return nil
}

func (*bytesFlag) Type() string { return "size" }
