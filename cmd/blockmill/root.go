package main

import (
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/cmd/blockmill/remote"
	"github.com/blockmill/blockmill/cmd/bytesize"
	"github.com/blockmill/blockmill/cmd/manual"
	"github.com/blockmill/blockmill/cmd/release"
)

// arenaLimit bounds the buffers of a command: windows in flight, caches and
// segments being written.
const arenaLimit = 96 << 20

// app is one run of the program: what all commands share.
type app struct {
	stdout, stderr io.Writer
	output         output
	progress       progressMode
	remote         remote.Options

	storePath string
	guard     bool             // writes leave the reserve free
	encodeAll bool             // imports compress every chunk
	reserve   bytesize.Reserve // of each file system of the store
	arena     *blockio.Arena

	// running is set once a command's flags and arguments were accepted:
	// what goes wrong before is a usage error.
	running bool

	profilePath string
	profile     *os.File
}

// sharedArena is the one arena of the run.
func (a *app) sharedArena() *blockio.Arena {
	if a.arena == nil {
		a.arena = blockio.NewArena(arenaLimit)
	}
	return a.arena
}

// root makes the tree of commands.
func (a *app) root() *cobra.Command {
	a.output, a.progress = outputTable, progressAuto
	root := &cobra.Command{
		Use:   "blockmill",
		Short: "Convert disk images and keep them in a deduplicating store",
		Long: `blockmill converts disk images (qcow2, VMDK, raw) and keeps them in a
content-addressed store. Those commands need no daemon; image, disk, snapshot,
operation, pool and node ask a running blockmilld.

Exit status: 0 done; 1 failed, or the answer is no; 2 the command line is
wrong; 3 the input is broken, hostile or unsupported; 4 temporary, try again.
Sizes take K M G T, powers of two.`,
		Example: `  blockmill info debian.qcow2
  blockmill convert -O qcow2 -c zstd disk.vmdk disk.qcow2
  blockmill store init --store /srv/images
  blockmill store import --store /srv/images --name debian debian.qcow2`,
		Version: release.Line("blockmill", version), SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.startProfile()
		},
	}
	// Flags are told in lines that fit a terminal.
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 80"))
	root.SetVersionTemplate("{{.Version}}\n")
	flags := root.PersistentFlags()
	flags.VarP(&a.output, "output", "o", "print a table or json")
	flags.Var(&a.progress, "progress", "auto (a bar on a terminal), json (lines on stderr) or none")
	flags.StringVar(&a.profilePath, "cpuprofile", "", "write a processor profile to this file")
	_ = flags.MarkHidden("cpuprofile") // the flag exists
	man := manual.Command()
	man.RunE = a.runs(man.RunE)
	root.AddCommand(a.infoCommand(), a.mapCommand(), a.convertCommand(), a.compareCommand(),
		a.digestCommand(), a.serveCommand(), a.storeCommand(), man)
	root.AddCommand(a.clientCommands()...)
	return root
}

// runs makes the RunE of a command from its body.
func (a *app) runs(body func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.running = true
		return body(cmd, args)
	}
}

func (a *app) startProfile() error {
	if a.profilePath == "" {
		return nil
	}
	f, err := os.Create(a.profilePath)
	if err != nil {
		return err
	}
	a.profile = f
	return pprof.StartCPUProfile(f)
}

func (a *app) stopProfile() {
	if a.profile == nil {
		return
	}
	pprof.StopCPUProfile()
	if err := a.profile.Close(); err != nil {
		fmt.Fprintf(a.stderr, "blockmill: %v\n", err)
	}
}
