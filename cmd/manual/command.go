// Package manual writes the manual pages of the programs. It is called once, while a
// command line is built.
package manual

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Command writes the pages of the program that it becomes a command of. It is for
// packagers, hence hidden.
func Command() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a directory, which is made", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			header := &doc.GenManHeader{Title: strings.ToUpper(cmd.Root().Name()), Section: "1", Source: "Blockmill", Manual: "Blockmill"}
			return doc.GenManTree(cmd.Root(), header, args[0])
		},
	}
}
