package main

import (
	"context"
	"fmt"
	"io"
	"log"
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
	log.SetOutput(io.Discard) // net/http writes there what servers send unasked
	os.Exit(run(os.Args[1:]))
}

// run carries out one command line and gives its exit status: 1 when that fails, 2
// when it asks for what there is not.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)

	root := rootCommand()
	root.SetArgs(args)
	status := 2
	root.PersistentPreRun = func(*cobra.Command, []string) { status = 1 }
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "blockmilld: %v\n", err)
		return status
	}
	return 0
}

func rootCommand() *cobra.Command {
	var path string
	root := &cobra.Command{
		Use:   "blockmilld",
		Short: "Keep disk images in a store, and make disks of them",
		Long: `blockmilld keeps disk images in a deduplicating store and makes disks of them.
It serves gRPC and REST, compatible with Yandex Compute Cloud's image service.

Without a configuration it keeps everything under ./var/blockmill, and takes
every caller on this machine for an administrator.`,
		Version: release.Line("blockmilld", version), Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), sources{path, cmd.Flags(), os.Environ()})
		},
	}
	// Flags are told in lines that fit a terminal.
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 80"))
	root.SetVersionTemplate("{{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVar(&path, "config", os.Getenv("BLOCKMILL_CONFIG"), "configuration file, YAML; or $BLOCKMILL_CONFIG")
	flags.String("data-dir", "", "directory of everything that is kept (data_dir)")
	flags.String("log-level", "", "debug, info, warn or error (log.level)")
	flags.String("grpc-listen", "", "addresses of gRPC, host:port,… (grpc.listen)")
	flags.String("rest-listen", "", "addresses of REST (rest.listen)")
	flags.String("metrics-listen", "", "addresses of metrics and health (metrics.listen)")
	root.AddCommand(configCommand(&path), manual.Command())
	return root
}
