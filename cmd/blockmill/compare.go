package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/convert"
)

func (a *app) compareCommand() *cobra.Command {
	var first, second sourceFlags
	var run runFlags
	cmd := &cobra.Command{
		Use:   "compare [-f FMT] [-F FMT] A B",
		Short: "Tell whether two images hold the same guest bytes",
		Long: `Compare the guest bytes of two images, whatever their formats. Exit status 0:
equal; 1: they differ, and the first offset that does is printed. Images of
different virtual sizes differ.`,
		Example: `  blockmill compare debian.qcow2 debian.vmdk
  blockmill compare -F raw debian.qcow2 debian.raw`,
		Args: cobra.ExactArgs(2),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			left, err := a.openSource(cmd.Context(), args[0], first)
			if err != nil {
				return err
			}
			defer left.close()
			right, err := a.openSource(cmd.Context(), args[1], second)
			if err != nil {
				return err
			}
			defer right.close()
			opts, stop := a.options(run, "compare")
			at, err := convert.Compare(cmd.Context(), left, right, opts)
			stop()
			if err != nil {
				return fmt.Errorf("compare %s with %s: %w", left.name, right.name, err)
			}
			return a.printComparison(left.Size(), right.Size(), at)
		}),
	}
	first.add(cmd)
	second.addSecond(cmd, &first)
	run.add(cmd)
	return cmd
}

func (a *app) printComparison(sizeA, sizeB, at int64) error {
	result := struct {
		Equal  bool   `json:"equal"`
		Offset *int64 `json:"offset,omitempty"` // the first that differs
		SizeA  int64  `json:"size_a"`
		SizeB  int64  `json:"size_b"`
	}{Equal: at == convert.Equal, SizeA: sizeA, SizeB: sizeB}
	if !result.Equal {
		result.Offset = &at
	}
	err := a.print(result, func(w io.Writer) {
		switch {
		case result.Equal:
			fmt.Fprintln(w, "equal")
		case at == min(sizeA, sizeB):
			fmt.Fprintf(w, "differ from offset %d on: sizes are %d and %d\n", at, sizeA, sizeB)
		default:
			fmt.Fprintf(w, "differ at offset %d\n", at)
		}
	})
	if err == nil && !result.Equal {
		err = errDiffers
	}
	return err
}
