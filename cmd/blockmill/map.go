package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/convert"
)

func (a *app) mapCommand() *cobra.Command {
	var src sourceFlags
	cmd := &cobra.Command{
		Use:   "map [-f FMT] SRC",
		Short: "Show which parts of an image hold data",
		Long: `Show the extents of an image. With -o json the document is the one that
qemu-img map --output=json prints.`,
		Example: `  blockmill map debian.qcow2
  blockmill map -o json -f raw disk.raw`,
		Args: cobra.ExactArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			s, err := a.openSource(cmd.Context(), args[0], src)
			if err != nil {
				return err
			}
			defer s.close()
			w := bufio.NewWriter(a.stdout)
			if a.output == outputJSON {
				err = mapJSON(w, cmd, s)
			} else {
				err = mapTable(w, cmd, s)
			}
			if err != nil {
				return fmt.Errorf("map %s: %w", s.name, err)
			}
			return w.Flush()
		}),
	}
	src.add(cmd)
	return cmd
}

// mapJSON streams: an image may have more extents than fit into memory.
func mapJSON(w io.Writer, cmd *cobra.Command, img convert.Image) error {
	sep := "["
	for m, err := range convert.Map(cmd.Context(), img) {
		if err != nil {
			return err
		}
		line, err := json.Marshal(m)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s%s", sep, line)
		sep = ",\n"
	}
	if sep == "[" {
		fmt.Fprint(w, sep)
	}
	_, err := fmt.Fprintln(w, "]")
	return err
}

// mapTableBatch is how many rows are aligned with one another.
const mapTableBatch = 1000

func mapTable(out io.Writer, cmd *cobra.Command, img convert.Image) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	row(w, "START", "LENGTH", "STATE", "OFFSET")
	n := 0
	for m, err := range convert.Map(cmd.Context(), img) {
		if err != nil {
			return err
		}
		offset := "-"
		if m.Offset != nil {
			offset = fmt.Sprintf("%#x", *m.Offset)
		}
		row(w, fmt.Sprintf("%#x", m.Start), fmt.Sprintf("%#x", m.Length), mapState(m), offset)
		if n++; n%mapTableBatch == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

func mapState(m convert.Mapping) string {
	switch {
	case m.Compressed:
		return "compressed"
	case m.Data:
		return "data"
	case m.Present:
		return "zero"
	}
	return "hole"
}
