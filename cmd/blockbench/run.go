package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/program"
	"github.com/blockmill/blockmill/bench/result"
	"github.com/blockmill/blockmill/bench/suite"
	"github.com/blockmill/blockmill/cmd/bytesize"
	"github.com/spf13/cobra"
)

// runFlags are the flags of run.
type runFlags struct {
	corpus, scratch, out, bin, module string
	runs                              int
	peers                             []string
	timeout                           time.Duration
	size                              bytesize.Size
	add                               bool
}

func runCommand() *cobra.Command {
	flags := runFlags{size: 4 << 30}
	cmd := &cobra.Command{
		Use:   "run [CASE…]",
		Short: "Run cases and write what came of them, as data, text and a page",
		Long: `Run cases, side by side with the peers that are installed. A case is named
whole (convert/qcow2-raw), by its kind (convert) or by a pattern
(convert/*-raw). Without a name all cases are run.`,
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd, args, flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.corpus, "corpus", "var/corpus", "directory of the input images")
	f.Var(&flags.size, "size", "make the corpus first if it is not there, of disks of this size; see blockbench corpus")
	f.StringVar(&flags.scratch, "scratch", "var/bench", "directory for outputs and stores while it runs; its file system is measured")
	f.StringVar(&flags.out, "out", "", "directory of the results (default var/bench/TIME)")
	f.StringVar(&flags.bin, "bin", "", "directory of the blockmill program (default that of blockbench)")
	f.StringVar(&flags.module, "module", ".", "source tree, for Go's benchmarks")
	f.BoolVar(&flags.add, "add", false, "add the rounds to those that the directory of the results has")
	f.IntVar(&flags.runs, "runs", 5, "rounds of each case")
	f.StringSliceVar(&flags.peers, "peers", nil, "programs to compare with (default all that are installed)")
	f.DurationVar(&flags.timeout, "timeout", 15*time.Minute, "longest time of one command")
	return cmd
}

func run(cmd *cobra.Command, args []string, flags runFlags) error {
	cases, err := suite.Choose(suite.Cases(), args)
	if err == nil {
		err = flags.validate(cases)
	}
	if err != nil {
		return errUsage{err}
	}
	before, err := flags.before()
	if err != nil {
		return err
	}
	if err := ensureCorpus(cmd, flags.corpus, flags.size); err != nil {
		return err
	}
	opts, err := flags.options()
	if err != nil {
		return err
	}
	opts.Log = cmd.ErrOrStderr()
	done, err := bench.NewRunner(opts).Run(cmd.Context(), cases)
	if done == nil {
		return err
	}
	out := flags.out
	if out == "" {
		out = filepath.Join("var", "bench", done.Started.Format("20060102-150405"))
	}
	whole, addErr := bench.Add(before, done, cases)
	if addErr != nil {
		return addErr
	}
	if err := errors.Join(err, write(whole, out)); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(out, "report.html"))
	return nil
}

// validate says whether the flags can be meant, for the cases.
func (f runFlags) validate(cases []bench.Case) error {
	if f.runs < 1 {
		return fmt.Errorf("%d runs: want at least 1", f.runs)
	}
	known := make(map[string]bool)
	for _, c := range cases {
		for _, name := range programs(c) {
			known[name] = true
		}
	}
	for _, name := range f.peers {
		if !known[name] {
			return fmt.Errorf("peer %q is in none of the cases: they have %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	return nil
}

// before is the run that this one is added to, nil without one.
func (f runFlags) before() (*result.Run, error) {
	if !f.add || f.out == "" {
		return nil, nil
	}
	r, err := readRun(f.out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}

// options resolves the directories, and finds programs in the one of
// blockmill and then in PATH.
func (f runFlags) options() (bench.Options, error) {
	if f.bin == "" {
		exe, err := os.Executable()
		if err != nil {
			return bench.Options{}, err
		}
		f.bin = filepath.Dir(exe)
	}
	if err := os.MkdirAll(f.scratch, 0o755); err != nil {
		return bench.Options{}, err
	}
	for _, dir := range []*string{&f.corpus, &f.scratch, &f.module} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return bench.Options{}, err
		}
		*dir = abs
	}
	path := os.Getenv("PATH")
	dirs := append([]string{f.bin}, filepath.SplitList(path)...)
	return bench.Options{
		Corpus: f.corpus, Scratch: f.scratch, Module: f.module,
		Rounds: f.runs, Timeout: f.timeout,
		Programs: program.NewSet(dirs, f.peers, []string{bench.Ours, "go"}),
		Environ:  os.Environ(), Path: path,
	}, nil
}
