package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/blockmill/blockmill/bench/report"
	"github.com/blockmill/blockmill/bench/result"
	"github.com/spf13/cobra"
)

// The files of a run.
const (
	resultsFile   = "results.json"
	benchstatFile = "results.txt"
	reportFile    = "report.html"
	tableFile     = "results.md"
)

// write leaves all forms of a run in a directory, and what its cases printed
// themselves, such as Go's benchmarks, in a file for each.
func write(r *result.Run, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := r.Save(filepath.Join(dir, resultsFile)); err != nil {
		return err
	}
	for _, c := range r.Cases {
		if c.Text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(c.Name)+".txt"), []byte(c.Text), 0o644); err != nil {
			return err
		}
	}
	return errors.Join(
		writeFile(filepath.Join(dir, benchstatFile), func(w io.Writer) error { return report.Benchstat(w, r) }),
		writeFile(filepath.Join(dir, reportFile), func(w io.Writer) error { return report.HTML(w, r) }),
		writeFile(filepath.Join(dir, tableFile), func(w io.Writer) error { return report.Markdown(w, r) }),
	)
}

func writeFile(path string, render func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := render(f); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Close()
}

// readRun reads a run from its directory or its JSON file.
func readRun(path string) (*result.Run, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, resultsFile)
	}
	return result.Load(path)
}

func compareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "Compare two runs, each a directory of results or a results.json",
		Args:  usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := readRun(args[0])
			if err != nil {
				return err
			}
			after, err := readRun(args[1])
			if err != nil {
				return err
			}
			return report.Compare(cmd.OutOrStdout(), before, after)
		},
	}
}

func showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show RUN… DIR",
		Short: "Write the reports of earlier runs again, several as one",
		Args:  usage(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var whole *result.Run
			for _, path := range args[:len(args)-1] {
				r, err := readRun(path)
				if err != nil {
					return err
				}
				if whole, err = result.Join(whole, r); err != nil {
					return fmt.Errorf("join %s: %w", path, err)
				}
			}
			return write(whole, args[len(args)-1])
		},
	}
}

// usage makes the errors of an argument check errors of usage.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return errUsage{err}
		}
		return nil
	}
}
