package bench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blockmill/blockmill/bench/measure"
	"github.com/blockmill/blockmill/bench/program"
)

// Env is where a contender's commands run: the values of the variables in
// templates, and the programs.
type Env struct {
	corpus, fixture, scratch, module string
	server                           string // URL, while files are served
	programs                         *program.Set
	environ                          []string // of the caller
	path                             string   // PATH of all commands
}

// Path expands a template.
func (e *Env) Path(template string) string {
	return os.Expand(template, func(name string) string {
		switch name {
		case "CORPUS":
			return e.corpus
		case "FIXTURE":
			return e.fixture
		case "SCRATCH":
			return e.scratch
		case "MODULE":
			return e.module
		case "SERVER":
			return e.server
		default:
			return "$" + name
		}
	})
}

func (e *Env) paths(templates []string) []string {
	out := make([]string, len(templates))
	for i, t := range templates {
		out[i] = e.Path(t)
	}
	return out
}

// Redact writes the machine's directories, and the server's address, as the
// variables that stand for them.
func (e *Env) Redact(s string) string {
	dirs := []struct{ dir, name string }{
		{e.corpus, "$CORPUS"},
		{e.fixture, "$FIXTURE"},
		{e.scratch, "$SCRATCH"},
		{e.module, "$MODULE"},
		{e.server, "$SERVER"},
	}
	if wd, err := os.Getwd(); err == nil {
		dirs = append(dirs, struct{ dir, name string }{wd, "."})
	}
	// The longest first: one may lie below another.
	slices.SortFunc(dirs, func(a, b struct{ dir, name string }) int { return cmp.Compare(len(b.dir), len(a.dir)) })
	for _, d := range dirs {
		if len(d.dir) > 1 {
			s = strings.ReplaceAll(s, d.dir, d.name)
		}
	}
	return s
}

// ProgramDir is the directory that a program is in.
func (e *Env) ProgramDir(name string) (string, error) {
	tool, err := e.programs.Find(name)
	return filepath.Dir(tool.Path), err
}

// Run runs a program that is not measured: a preparation or a check.
func (e *Env) Run(ctx context.Context, name string, args ...string) error {
	tool, err := e.programs.Find(name)
	if err != nil {
		return err
	}
	_, _, err = measure.Run(ctx, e.process(tool.Path, Contender{}, Command{Args: args}))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (e *Env) process(path string, c Contender, cmd Command) measure.Process {
	environ := []string{
		"PATH=" + e.path, "LC_ALL=C.UTF-8",
		"HOME=" + filepath.Join(e.scratch, "home"), "TMPDIR=" + e.scratch,
	}
	if c.Inherit {
		environ = slices.Clone(e.environ)
	}
	return measure.Process{
		Path: path,
		Args: e.paths(cmd.Args),
		Dir:  e.Path(cmp.Or(cmd.Dir, "$SCRATCH")),
		Env:  append(environ, e.paths(c.Env)...),
	}
}
