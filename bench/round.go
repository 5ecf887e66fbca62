package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/blockmill/blockmill/bench/measure"
	"github.com/blockmill/blockmill/bench/result"
)

// round runs every step of a case once with every contender, step by step. Each
// round begins with another contender: who comes first follows what the last one
// did in the step before. What the samples have in common, their cache state and the
// number of the round, is of.
func (r *Runner) round(ctx context.Context, c Case, entries []*entry, out *result.Case, of result.Sample) (err error) {
	defer func() {
		for _, e := range entries {
			err = errors.Join(err, os.RemoveAll(e.env.scratch))
		}
	}()
	for _, e := range entries {
		if err := r.setup(ctx, e); err != nil {
			return fmt.Errorf("set up %s: %w", e.Name, err)
		}
	}
	first := of.Round % len(entries)
	turns := slices.Concat(entries[first:], entries[:first])
	for _, step := range c.Steps {
		for _, e := range turns {
			cmd, ok := e.Steps[step]
			if !ok || e.out {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			s := of
			s.Contender, s.Step = e.Name, step
			values, text, err := r.sample(ctx, e, cmd, of.Cache)
			if cause := ctx.Err(); cause != nil {
				return cause // what was cut off is no failure
			}
			if err != nil {
				e.out = !c.Independent
				s.Error = e.env.Redact(err.Error())
			}
			if s.Values = values; cmd.KeepText {
				out.Text += text
			}
			out.Samples = append(out.Samples, s)
			r.log(c, s)
		}
	}
	return ctx.Err()
}

func (r *Runner) setup(ctx context.Context, e *entry) error {
	e.out = false
	if err := os.RemoveAll(e.env.scratch); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(e.env.scratch, "home"), 0o755); err != nil {
		return err
	}
	for _, args := range e.Setup {
		if _, _, err := measure.Run(ctx, e.env.process(e.path, e.Contender, Command{Args: args})); err != nil {
			return errors.New(e.env.Redact(err.Error()))
		}
	}
	return nil
}

func (r *Runner) log(c Case, s result.Sample) {
	what := fmt.Sprintf("%-22s %-12s %-4s %d  %-20s", c.Name, s.Step, s.Cache, s.Round+1, s.Contender)
	if s.Error != "" {
		fmt.Fprintf(r.opts.Log, "%s FAILED: %s\n", what, s.Error)
		return
	}
	shown := []result.Metric{result.Total, result.CPU, result.MaxRSS, result.Output, result.NewBytes}
	if !slices.Contains(shown, c.Metric) {
		shown = append(shown, c.Metric)
	}
	for _, m := range shown {
		if v, ok := s.Values[m]; ok {
			what += fmt.Sprintf("  %s %s", m, m.Format(v))
		}
	}
	fmt.Fprintln(r.opts.Log, what)
}

// sample runs one command between its preparations and its check.
func (r *Runner) sample(ctx context.Context, e *entry, cmd Command, cache result.Cache) (values map[result.Metric]float64, text string, err error) {
	if cmd.Compute != nil {
		values, err = cmd.Compute(ctx, e.env)
		return values, "", err
	}
	if cmd.Prepare != nil {
		if err := cmd.Prepare(ctx, e.env); err != nil {
			return nil, "", fmt.Errorf("prepare: %w", err)
		}
	}
	output := e.env.Path(cmd.Writes)
	if err := makeRoom(output, cmd.Grows); err != nil {
		return nil, "", err
	}
	if output != "" && !cmd.Grows {
		defer func() { err = errors.Join(err, os.RemoveAll(output)) }()
	}
	values = make(map[result.Metric]float64)
	before, err := r.prepare(ctx, e, cmd, cache, values)
	if err != nil {
		return nil, "", err
	}

	if cmd.Serves != "" {
		stop, err := e.env.serveFiles(cmd.Serves)
		if err != nil {
			return nil, "", err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	timed, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	use, printed, err := measure.Run(timed, e.env.process(e.path, e.Contender, cmd))
	record(values, use)
	if err != nil {
		return values, string(printed.Stdout), err
	}
	if err := settle(output, before, values); err != nil {
		return values, "", err
	}
	reported(values, printed.Stdout)
	if cmd.Check != nil {
		if err := cmd.Check(ctx, e.env); err != nil {
			return values, "", fmt.Errorf("wrong output: %w", err)
		}
	}
	return values, string(printed.Stdout), nil
}

// makeRoom makes the directories that programs expect: that of an output, and
// a store itself.
func makeRoom(output string, grows bool) error {
	switch {
	case output == "":
		return nil
	case grows:
		return os.MkdirAll(output, 0o755)
	}
	if err := os.RemoveAll(output); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Dir(output), 0o755)
}

// prepare syncs the file system, so that no earlier run's data is written
// during this one, and sets the state of the page cache. It returns the bytes
// allocated to the output before.
func (r *Runner) prepare(ctx context.Context, e *entry, cmd Command, cache result.Cache, values map[result.Metric]float64) (int64, error) {
	if _, err := measure.Settle(e.env.scratch); err != nil {
		return 0, err
	}
	reads := e.env.paths(cmd.Reads)
	if cache == result.Cold {
		stayed, err := measure.Cool(ctx, reads...)
		if err != nil {
			return 0, err
		}
		values[result.StayedWarm] = float64(max(0, stayed))
	} else if err := measure.Warm(ctx, reads...); err != nil {
		return 0, err
	}
	if stayed, err := measure.CoolAndRest(ctx, e.env.paths(cmd.Cools)...); err != nil {
		return 0, err
	} else if stayed > 0 {
		values[result.StayedWarm] += float64(stayed)
	}
	if cmd.Writes == "" {
		return 0, nil
	}
	before, err := measure.DiskUsage(e.env.Path(cmd.Writes))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return before, err
}

func record(values map[result.Metric]float64, use measure.Usage) {
	maps.Copy(values, map[result.Metric]float64{
		result.Total:      use.Wall.Seconds(),
		result.Wall:       use.Wall.Seconds(),
		result.CPU:        (use.User + use.Sys).Seconds(),
		result.User:       use.User.Seconds(),
		result.Sys:        use.Sys.Seconds(),
		result.Others:     use.Others.Seconds(),
		result.MaxRSS:     float64(use.MaxRSS),
		result.Read:       float64(use.Read),
		result.Written:    float64(use.Written),
		result.ReadCalls:  float64(use.ReadCalls),
		result.WriteCalls: float64(use.WriteCalls),
	})
}

func settle(output string, before int64, values map[result.Metric]float64) error {
	if output == "" {
		return nil
	}
	var took time.Duration
	took, err := measure.Settle(output)
	if err != nil {
		return err
	}
	size, err := measure.DiskUsage(output)
	if err != nil {
		return err
	}
	values[result.Settle] = took.Seconds()
	values[result.Total] += took.Seconds()
	values[result.Output] = float64(size)
	values[result.OutputAdded] = float64(size - before)
	return nil
}

// reported takes over the numbers that a program printed as one JSON object,
// and what follows from them.
func reported(values map[result.Metric]float64, stdout []byte) {
	var fields map[string]any
	if json.Unmarshal(stdout, &fields) != nil {
		return
	}
	for name, field := range fields {
		metric := result.Metric(cmp.Or(name, "value"))
		if _, measured := values[metric]; measured {
			continue
		}
		if v, ok := field.(float64); ok {
			values[metric] = v
		}
	}
	if n := values[result.NewChunks]; n > 0 {
		values[result.MeanChunk] = values[result.NewBytes] / n
	}
}
