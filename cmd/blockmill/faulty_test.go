package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// faulty is a store of a few small images on which commands meet faults: one that
// is kept and has chunks in common with one that was removed, and one to remove.
type faulty struct {
	dir, exe     string
	outs         string // directory of what is exported
	data, parity int
	kept, fresh  string // disks: of the image that is kept, and one to import
	// lossy says that a fault may have lost what was acknowledged: then errors
	// will do, wrong bytes will not.
	lossy bool
}

func newFaulty(t *testing.T, dir string, data, parity int) *faulty {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f := &faulty{dir: dir, outs: dir, exe: exe, data: data, parity: parity, kept: dir + ".kept", fresh: dir + ".fresh"}
	gone := dir + ".gone"
	for path, parts := range map[string]string{f.kept: "abc-d", f.fresh: "bxy-z", gone: "avw"} {
		if err := writeParts(path, parts); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"init", "--data", strconv.Itoa(data), "--parity", strconv.Itoa(parity), "--allow-shared-device"}
	for i := range data + parity {
		args = append(args, "--shard", f.shard(i))
	}
	f.must(t, args...)
	f.must(t, "import", "-f", "raw", "--name", "gone", gone)
	f.must(t, "import", "-f", "raw", "--name", "kept", f.kept)
	f.must(t, "import", "-f", "raw", "--name", "spare", f.kept)
	f.must(t, "rm", "gone")
	return f
}

// writeParts writes a disk of MiB, one for each letter, which have their noise; a
// "-" is a hole.
func writeParts(path, parts string) error {
	p := make([]byte, len(parts)<<20+5*512)
	for i, part := range []byte(parts) {
		if part != '-' {
			_, _ = rand.NewChaCha8([32]byte{part}).Read(p[i<<20 : (i+1)<<20]) // never fails
		}
	}
	return os.WriteFile(path, p, 0o600)
}

func (f *faulty) store() string      { return filepath.Join(f.dir, "S") }
func (f *faulty) shard(i int) string { return filepath.Join(f.store(), "shard"+strconv.Itoa(i)) }

// link makes a copy of the store. Shards' objects are never written in place, so a
// link of them will do, except on another file system.
func (f *faulty) link(t *testing.T, dir string) *faulty {
	t.Helper()
	c := *f
	c.dir, c.outs = dir, dir
	err := filepath.WalkDir(f.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below := strings.TrimPrefix(path, f.dir)
		switch {
		case e.IsDir():
			return os.Mkdir(dir+below, 0o700)
		case strings.Contains(below, "/shard") && e.Name() != "lock":
			if err := os.Link(path, dir+below); !errors.Is(err, syscall.EXDEV) {
				return err
			}
		}
		p, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(dir+below, p, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

// harmed is the shard that scrub and heal have to repair.
const harmed = 1

// harm takes a part of one shard away and has bits turned over in the rest. Without
// parity there is nothing to repair it from.
func (f *faulty) harm(t *testing.T) {
	t.Helper()
	if f.parity == 0 {
		return
	}
	files, err := filepath.Glob(filepath.Join(f.shard(harmed), "[mrs]*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range files {
		p, err := os.ReadFile(path)
		if err == nil {
			err = os.Remove(path)
		}
		if err == nil && (i%3 != 0 || filepath.Base(path) == "shard") {
			p[len(p)/3] ^= 8
			err = os.WriteFile(path, p, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a command of the store with faults.
func (f *faulty) run(t *testing.T, faults string, args ...string) (stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), f.exe, f.args(args)...)
	cmd.Args[0] = "blockmill"
	cmd.Env = append(os.Environ(), faultsVariable+"="+faults)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	err = cmd.Run()
	return errs.String(), err
}

func (f *faulty) must(t *testing.T, args ...string) {
	t.Helper()
	if stderr, err := f.run(t, "", args...); err != nil {
		t.Fatalf("blockmill store %s: %v: %s", strings.Join(args, " "), err, stderr)
	}
}

func (f *faulty) args(args []string) []string {
	line := []string{"store", args[0], "--store", f.store()}
	for _, arg := range args[1:] {
		if arg == "NEW" {
			arg = f.fresh
		} else if strings.HasPrefix(arg, "OUT") {
			arg = f.out(arg)
		}
		line = append(line, arg)
	}
	return line
}

func (f *faulty) out(name string) string { return filepath.Join(f.outs, name) }

// answer is what a command wrote, and the error of one that failed.
type answer struct {
	out string
	err error
}

// ask runs several commands in one process, without faults.
func (f *faulty) ask(t *testing.T, lines ...[]string) []answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), f.exe)
	cmd.Args[0] = "blockmill"
	cmd.Env = append(os.Environ(), seriesVariable+"=1")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	script := make([][]string, len(lines))
	for i, line := range lines {
		script[i] = f.args(line)
	}
	in, err := json.Marshal(script)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	var results []seriesResult
	if err == nil {
		err = json.Unmarshal(out, &results)
	}
	if err != nil {
		t.Fatalf("%q: %v: %s", lines, err, errs.String())
	}
	answers := make([]answer, len(results))
	for i, r := range results {
		answers[i].out = r.Out
		if r.Status != exitDone {
			answers[i].err = fmt.Errorf("store %s: status %d: %s", lines[i][0], r.Status, r.Err)
		}
	}
	return answers
}

// seriesVariable makes the program run all the command lines that stdin has, and
// write what became of them.
const seriesVariable = "BLOCKMILL_SERIES"

type seriesResult struct {
	Status   int
	Out, Err string
}

func series() {
	var lines [][]string
	if err := json.NewDecoder(os.Stdin).Decode(&lines); err != nil {
		panic(err)
	}
	results := make([]seriesResult, len(lines))
	for i, line := range lines {
		var out, errs bytes.Buffer
		results[i].Status = run(line, &out, &errs)
		results[i].Out, results[i].Err = out.String(), errs.String()
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		panic(err)
	}
}

// count is how many calls of each shard's volume a command makes.
func (f *faulty) count(t *testing.T, ops string, act []string) []int {
	t.Helper()
	c := f.link(t, filepath.Join(t.TempDir(), "count"))
	if act[0] == "scrub" || act[0] == "heal" {
		c.harm(t)
	}
	stderr, err := c.run(t, "ops="+ops+" kind=delay delay=0s sticky", act...)
	if err != nil {
		t.Fatalf("%s: %v: %s", act[0], err, stderr)
	}
	calls := make([]int, f.data+f.parity)
	for i := range calls {
		calls[i] = strings.Count(stderr, injected+"shard "+strconv.Itoa(i)+",")
	}
	return calls
}

// strike runs a command while a fault is there and looks at what it left. It says
// whether the fault was met.
func (f *faulty) strike(t *testing.T, faults string, act []string) (met bool) {
	t.Helper()
	if act[0] == "scrub" || act[0] == "heal" {
		f.harm(t)
	}
	stderr, err := f.run(t, faults, act...)
	exit, exited := errors.AsType[*exec.ExitError](err)
	if err != nil && (!exited || exit.ExitCode() < 1 || exit.ExitCode() > 4) || strings.Contains(stderr, "goroutine ") {
		t.Fatalf("%s, %s: %v: %s", act[0], faults, err, stderr)
	}
	what := act[0] + ", " + faults
	if act[0] == "export" && err == nil {
		f.wantSame(t, what, "OUT", f.kept)
	}
	f.wantSound(t, what, act[0], err == nil)
	return strings.Contains(stderr, injected)
}

// wantSound reads what is kept, has the store repaired, checks all of it and reads
// again: what the act acknowledged is there.
func (f *faulty) wantSound(t *testing.T, what, act string, acknowledged bool) {
	t.Helper()
	lines := [][]string{
		{"export", "kept", "OUT.before"}, {"scrub", "--repair", "--full"}, {"check"}, {"export", "kept", "OUT.after"}, {"ls"},
	}
	if act == "import" && acknowledged {
		lines = append(lines, []string{"export", "new", "OUT.new"})
	}
	answers := f.ask(t, lines...)
	for i, a := range answers {
		switch line := lines[i]; {
		case a.err != nil && !f.lossy:
			t.Fatalf("%s; then %v", what, a.err)
		case a.err != nil:
		case line[0] == "export" && line[1] == "kept":
			f.wantSame(t, what, line[2], f.kept)
		case line[0] == "export":
			f.wantSame(t, what, line[2], f.fresh)
		case line[0] == "ls":
			spare := strings.Contains(a.out, " spare ")
			if act == "rm" && acknowledged && spare || act != "rm" && !spare && !f.lossy {
				t.Fatalf("%s; listed are: %s", what, a.out)
			}
		}
	}
}

// wantSame compares what was exported with a disk.
func (f *faulty) wantSame(t *testing.T, what, out, disk string) {
	t.Helper()
	got, err := os.ReadFile(f.out(out))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: %s has other bytes", what, out)
	}
}
