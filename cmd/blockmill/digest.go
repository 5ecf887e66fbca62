package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/convert"
)

func (a *app) digestCommand() *cobra.Command {
	var src sourceFlags
	var run runFlags
	var expect expectFlag
	cmd := &cobra.Command{
		Use:   "digest [-f FMT] SRC",
		Short: "Print the digest that a store would give an image",
		Long: `Print the digest of an image's guest bytes. It is the same for the same bytes in
any format, and the one that a store reports for the image.`,
		Example: `  blockmill digest debian.qcow2`,
		Args:    cobra.ExactArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			if err := expect.validate(); err != nil {
				return err
			}
			s, err := a.openSource(cmd.Context(), args[0], src)
			if err != nil {
				return err
			}
			defer s.close()
			opts, stop := a.options(run, "digest")
			digest, err := convert.Digest(cmd.Context(), s, opts)
			stop()
			if err == nil {
				err = expect.check(digest)
			}
			if err != nil {
				return fmt.Errorf("digest %s: %w", s.name, err)
			}
			result := struct {
				Digest      string         `json:"digest"`
				Format      convert.Format `json:"format"`
				VirtualSize int64          `json:"virtual_size"`
			}{digest.String(), s.format, s.Size()}
			return a.print(result, func(w io.Writer) { fmt.Fprintln(w, result.Digest) })
		}),
	}
	src.add(cmd)
	run.add(cmd)
	expect.add(cmd)
	return cmd
}
