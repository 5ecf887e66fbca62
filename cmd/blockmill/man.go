package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand is for packagers, hence hidden.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages into a directory",
		Example: `  blockmill man /usr/share/man/man1`,
		Hidden:  true,
		Args:    cobra.ExactArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			header := &doc.GenManHeader{Title: "BLOCKMILL", Section: "1", Source: "Blockmill", Manual: "Blockmill"}
			return doc.GenManTree(cmd.Root(), header, args[0])
		}),
	}
}
