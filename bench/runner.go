package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/blockmill/blockmill/bench/program"
	"github.com/blockmill/blockmill/bench/result"
)

// Options say how cases are run.
type Options struct {
	Corpus  string // directory of the input images
	Scratch string // directory for outputs and stores; its contents are left alone
	Module  string // the source tree, for cases that run Go's benchmarks
	Rounds  int    // of every case; 5 when 0
	// Timeout ends a single command; 15 minutes when 0.
	Timeout  time.Duration
	Programs *program.Set
	Environ  []string  // of the caller, for commands that need it
	Path     string    // PATH of the commands
	Log      io.Writer // a line for each sample; nil for none
}

func (o Options) withDefaults() Options {
	o.Rounds = cmp.Or(o.Rounds, 5)
	o.Timeout = cmp.Or(o.Timeout, 15*time.Minute)
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

// Runner runs cases.
type Runner struct {
	opts Options
	used map[string]result.Program
}

// NewRunner returns a runner; Options.Programs and the directories must be
// set.
func NewRunner(opts Options) *Runner {
	return &Runner{opts: opts.withDefaults(), used: make(map[string]result.Program)}
}

// Run runs the cases. What fails within a case is in its samples; the error
// is of the harness itself, or the context's. The results so far are returned
// beside it.
func (r *Runner) Run(ctx context.Context, cases []Case) (run *result.Run, err error) {
	scratch, err := os.MkdirTemp(r.opts.Scratch, "run-")
	if err != nil {
		return nil, fmt.Errorf("make scratch directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	run = &result.Run{
		Schema: result.Schema, Started: time.Now().UTC().Truncate(time.Second),
		Rounds: r.opts.Rounds, Machine: machine(scratch),
	}
	for _, c := range cases {
		done, caseErr := r.runCase(ctx, c, scratch)
		run.Cases = append(run.Cases, done)
		if caseErr != nil {
			err = fmt.Errorf("case %s: %w", c.Name, caseErr)
			break
		}
	}
	for _, p := range r.used {
		run.Programs = append(run.Programs, p)
	}
	slices.SortFunc(run.Programs, func(a, b result.Program) int { return strings.Compare(a.Name, b.Name) })
	run.Finished = time.Now().UTC().Truncate(time.Second)
	return run, err
}

func (r *Runner) runCase(ctx context.Context, c Case, scratch string) (out result.Case, err error) {
	out = result.Case{
		Name: c.Name, Title: c.Title, Shows: c.Shows, Metric: c.Metric,
		Caches: c.Caches, Steps: c.Steps,
	}
	defer func() { out.Goals = judge(c.Goals, &out) }()
	fixture := filepath.Join(scratch, "fixture")
	shared := r.env(fixture, fixture)
	entries := r.enter(c, &out, scratch, fixture)
	if missing := missingInputs(c, shared); missing != "" {
		for i := range out.Contenders {
			out.Contenders[i].Missing = cmp.Or(out.Contenders[i].Missing, "the corpus has no "+missing)
		}
		entries = nil
	}
	if len(entries) > 0 {
		if err := os.MkdirAll(fixture, 0o755); err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(fixture)) }()
		if c.Prepare != nil {
			if err := c.Prepare(ctx, shared); err != nil {
				return out, fmt.Errorf("prepare: %w", err)
			}
		}
		for _, cache := range c.Caches {
			for round := range r.rounds(c) {
				if err := r.round(ctx, c, entries, &out, result.Sample{Cache: cache, Round: round}); err != nil {
					return out, err
				}
			}
		}
	}
	return out, nil
}

func (r *Runner) rounds(c Case) int {
	if c.MaxRounds > 0 {
		return min(c.MaxRounds, r.opts.Rounds)
	}
	return r.opts.Rounds
}

func (r *Runner) env(fixture, scratch string) *Env {
	return &Env{
		corpus: r.opts.Corpus, fixture: fixture, scratch: scratch, module: r.opts.Module,
		programs: r.opts.Programs, environ: r.opts.Environ, path: r.opts.Path,
	}
}

// entry is a contender that takes part.
type entry struct {
	Contender
	path string // of its program
	env  *Env
	out  bool // of this round: it failed
}

// enter lists the contenders in the result, and returns those whose programs
// are here.
func (r *Runner) enter(c Case, out *result.Case, scratch, fixture string) []*entry {
	var entries []*entry
	for i, contender := range c.Contenders {
		known := result.Contender{
			Name: contender.Name, Program: contender.Program, Ours: contender.Name == Ours,
			Commands: commandLines(c.Steps, contender),
		}
		if contender.Program != "" && !r.opts.Programs.Wanted(contender.Program) {
			continue
		}
		e := &entry{Contender: contender, env: r.env(fixture, filepath.Join(scratch, fmt.Sprintf("contender-%d", i)))}
		if contender.Program != "" {
			tool, err := r.opts.Programs.Find(contender.Program)
			if err != nil {
				known.Missing = program.ErrMissing.Error()
			}
			e.path = tool.Path
			r.used[contender.Program] = result.Program{Name: contender.Program, Version: tool.Version}
		}
		out.Contenders = append(out.Contenders, known)
		if known.Missing == "" {
			entries = append(entries, e)
		}
	}
	return entries
}

func commandLines(steps []string, c Contender) []result.Command {
	var lines []result.Command
	for _, args := range c.Setup {
		lines = append(lines, result.Command{Step: "setup", Line: line(c.Program, args)})
	}
	for _, step := range steps {
		if cmd, ok := c.Steps[step]; ok {
			lines = append(lines, result.Command{Step: step, Line: line(c.Program, cmd.Args)})
		}
	}
	return lines
}

// line is a command line as a shell would take it.
func line(program string, args []string) string {
	var words []string
	if program != "" {
		words = append(words, program)
	}
	for _, arg := range args {
		if arg == "" || strings.ContainsAny(arg, " \t\n'\"\\;&|<>()*?[]{}") {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

func missingInputs(c Case, env *Env) string {
	for _, name := range c.Needs {
		if _, err := os.Stat(env.Path("$CORPUS/" + name)); err != nil {
			return name
		}
	}
	return ""
}
