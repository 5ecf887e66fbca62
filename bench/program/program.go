// Package program finds the programs that a benchmark measures and says which
// versions they are.
//
// A [Set] looks each program up once. It is not safe for concurrent use.
package program

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ErrMissing says that a program is not installed.
var ErrMissing = errors.New("not available here")

// Tool is an installed program.
type Tool struct {
	Name    string
	Path    string
	Version string
}

// Set is the programs of a machine.
type Set struct {
	dirs  []string
	only  map[string]bool // nil: all
	found map[string]Tool
}

// NewSet looks for programs in the directories, the first before the others.
// When only names any, the others count as missing, but for those in always.
func NewSet(dirs, only, always []string) *Set {
	s := &Set{dirs: dirs, found: make(map[string]Tool)}
	if len(only) > 0 {
		s.only = make(map[string]bool)
		for _, name := range append(append([]string(nil), only...), always...) {
			s.only[name] = true
		}
	}
	return s
}

// Find returns an installed program, or an error that is ErrMissing.
func (s *Set) Find(name string) (Tool, error) {
	if tool, ok := s.found[name]; ok {
		return tool, nil
	}
	for _, dir := range s.dirs {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			continue
		}
		if path, err = filepath.Abs(path); err != nil {
			return Tool{}, err
		}
		tool := Tool{Name: name, Path: path, Version: version(name, path)}
		s.found[name] = tool
		return tool, nil
	}
	return Tool{}, fmt.Errorf("program %s: %w", name, ErrMissing)
}

// Wanted reports whether a program is to be measured, installed or not.
func (s *Set) Wanted(name string) bool { return s.only == nil || s.only[name] }

// versionArgs are those of programs that do not know --version.
var versionArgs = map[string]string{"restic": "version", "go": "version"}

// versionTime bounds how long a program may take to say its version.
const versionTime = 10 * time.Second

// version is the first line that a program prints when asked, and, of a Go
// program, the version of its module, which a build by hand does not print.
func version(name, path string) string {
	arg := versionArgs[name]
	if arg == "" {
		arg = "--version"
	}
	ctx, cancel := context.WithTimeout(context.Background(), versionTime)
	defer cancel()
	var parts []string
	if out, err := exec.CommandContext(ctx, path, arg).Output(); err == nil {
		line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
		parts = append(parts, strings.TrimSpace(string(line)))
	}
	module, said := moduleVersion(path)
	if module != "" && !strings.Contains(strings.Join(parts, ""), said) {
		parts = append(parts, module)
	}
	if len(parts) == 0 {
		return "unknown version"
	}
	return strings.Join(parts, "; ")
}

// moduleVersion is what a Go program was built from, and the part of it that the
// program may have said itself.
func moduleVersion(path string) (module, said string) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return info.Main.Path + " " + v, v
	}
	for _, dep := range info.Deps { // a program built from another module
		if dep.Path == info.Path || strings.HasPrefix(info.Path, dep.Path+"/") {
			return dep.Path + " " + dep.Version, dep.Version
		}
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return "commit " + setting.Value, setting.Value
		}
	}
	return "", ""
}
