// Command blockbench measures Blockmill beside its peers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/cmd/manual"
	"github.com/blockmill/blockmill/cmd/release"
)

// version is set by the linker in releases.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "blockbench: %v\n", err)
		stop()
		os.Exit(exitStatus(err))
	}
}

// errUsage marks an error of the command line; its text is the error's own.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

// exitStatus is 2 for wrong use, 1 for all that failed.
func exitStatus(err error) int {
	if _, ok := errors.AsType[errUsage](err); ok {
		return 2
	}
	return 1
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "blockbench",
		Short:         "Measure Blockmill beside its peers",
		Version:       release.Line("blockbench", version),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	// Flags are told in lines that fit a terminal.
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 80"))
	cmd.SetVersionTemplate("{{.Version}}\n")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return errUsage{err} })
	man := manual.Command()
	man.Args = usage(man.Args)
	cmd.AddCommand(listCommand(), runCommand(), compareCommand(), showCommand(), corpusCommand(), loadCommand(), importCommand(), man)
	return cmd
}
