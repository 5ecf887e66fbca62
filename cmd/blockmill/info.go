package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/qcow2"
	"github.com/blockmill/blockmill/convert/raw"
	"github.com/blockmill/blockmill/convert/vmdk"
)

func (a *app) infoCommand() *cobra.Command {
	var src sourceFlags
	cmd := &cobra.Command{
		Use:   "info [-f FMT] SRC",
		Short: "Show an image's format, sizes and features",
		Long: `Show what the header of an image says. The tables behind it are checked by the
commands that read them.`,
		Example: `  blockmill info debian.qcow2
  blockmill info -o json -f raw disk.raw`,
		Args: cobra.ExactArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			s, err := a.openSource(cmd.Context(), args[0], src)
			if err != nil {
				return err
			}
			defer s.close()
			facts, err := s.facts()
			if err == nil {
				err = s.verify(cmd.Context())
			}
			if err != nil {
				return fmt.Errorf("describe %s: %w", s.name, err)
			}
			return a.print(facts, func(w io.Writer) { factsTable(w, facts) })
		}),
	}
	src.add(cmd)
	return cmd
}

// facts are what is known of an image by name: what all formats have, and what
// the format's own Info says.
func (s *source) facts() (map[string]any, error) {
	facts := make(map[string]any)
	var details any
	switch img := s.Image.(type) {
	case *qcow2.Image:
		details = img.Info()
	case *vmdk.Image:
		details = img.Info()
	case *raw.Image:
		details = img.Info()
	}
	p, err := json.Marshal(details)
	if err == nil {
		err = json.Unmarshal(p, &facts)
	}
	facts["format"] = s.format
	facts["virtual_size"] = s.Size()
	facts["file_size"] = s.fileSize()
	return facts, err
}

// factsTable prints what all formats have first.
func factsTable(w io.Writer, facts map[string]any) {
	first := []string{"format", "virtual_size", "file_size"}
	for _, name := range first {
		row(w, label(name), fact(name, facts[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		if !slices.Contains(first, name) {
			row(w, label(name), fact(name, facts[name]))
		}
	}
}

func label(name string) string { return strings.ReplaceAll(name, "_", " ") }

// fact prints a value; JSON numbers are float64.
func fact(name string, v any) string {
	switch v := v.(type) {
	case int64:
		return fmt.Sprintf("%s (%d bytes)", human(v), v)
	case float64:
		if strings.HasSuffix(name, "_size") {
			return human(int64(v))
		}
		return fmt.Sprintf("%.0f", v)
	case string, bool, convert.Format:
		return fmt.Sprint(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
