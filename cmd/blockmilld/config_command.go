package main

import (
	"fmt"
	"os"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/spf13/cobra"
)

// configCommand works on the configuration without starting anything.
func configCommand(path *string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Check or print the configuration", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use: "check", Short: "Say whether the configuration is one that the daemon takes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, _, err := sources{*path, cmd.Flags(), os.Environ()}.load()
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "ok")
			}
			return err
		},
	}, &cobra.Command{
		Use: "print", Short: "Print the configuration that the daemon would have", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, _, err := sources{*path, cmd.Flags(), os.Environ()}.load()
			if err != nil {
				return err
			}
			text, err := k.Marshal(yaml.Parser())
			if err != nil {
				return fmt.Errorf("print configuration: %w", err)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}, &cobra.Command{
		Use: "defaults", Short: "Print every key with its default and meaning", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(defaults)
			return err
		},
	})
	return cmd
}
