package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand is for packagers, hence hidden.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a directory", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			header := &doc.GenManHeader{Title: "BLOCKMILLD", Section: "1", Source: "Blockmill", Manual: "Blockmill"}
			return doc.GenManTree(cmd.Root(), header, args[0])
		},
	}
}
