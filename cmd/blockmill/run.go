package main

import (
	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/convert"
)

// runFlags are the flags of everything that carries guest bytes.
type runFlags struct {
	jobs int
}

func (f *runFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&f.jobs, "jobs", "j", 0, "windows of 4 MiB in flight (default by the number of processors)")
}

// options makes the options of a pipeline and begins to show its progress,
// until stop.
func (a *app) options(f runFlags, act string) (opts convert.Options, stop func()) {
	report, stop := a.showProgress(act)
	return convert.Options{Arena: a.sharedArena(), Workers: f.jobs, Progress: report}, stop
}
