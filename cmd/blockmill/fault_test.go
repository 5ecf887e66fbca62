package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

const (
	// faultsVariable has faults to inject into the shards of stores, in the form
	// of blockiotest.ParseSpec, with semicolons between them.
	faultsVariable = "BLOCKMILL_FAULTS"
	// exhaustiveVariable has every I/O fail, not each nth.
	exhaustiveVariable = "BLOCKMILL_EXHAUSTIVE"

	injected = "injected: "
)

// faultySystem puts the faults that are asked for between shards and their
// directories, and says on stderr when one is met.
func faultySystem() func(shard int, inner blockio.FileSystem) blockio.FileSystem {
	text := os.Getenv(faultsVariable)
	if text == "" {
		return nil
	}
	return func(shard int, inner blockio.FileSystem) blockio.FileSystem {
		fsys := blockiotest.NewFaultFS(inner, func(op blockiotest.Op) {
			fmt.Fprintf(os.Stderr, "%sshard %d, %v\n", injected, shard, op)
		})
		for one := range strings.SplitSeq(text, ";") {
			spec, err := blockiotest.ParseSpec(one)
			if err != nil {
				panic(err)
			}
			if spec.Shard == shard || spec.Shard < 0 {
				fsys.Inject(spec.Fault)
			}
		}
		return fsys
	}
}

// TestFaultsOfProcess has each I/O of a real import, export, collection and scrub
// over shards on real disks fail, in every way: the process ends by itself with
// an answer, what was acknowledged stays, and no wrong byte is written out.
func TestFaultsOfProcess(t *testing.T) {
	skip := 0
	if os.Getenv(exhaustiveVariable) != "" {
		skip = 1
	}
	base := newFaulty(t, filepath.Join(t.TempDir(), "base"))
	for _, c := range []struct{ name, spec string }{
		{"error", "ops=any kind=error err=EIO"},
		{"error from then on", "ops=any kind=error err=EIO sticky"},
		{"full", "ops=create|write|truncate|mkdir kind=error err=ENOSPC sticky"},
		{"short", "ops=read|write kind=short err=EIO"},
		{"flip", "ops=read|write kind=flip"},
		{"delay", "ops=any kind=delay delay=20ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, act := range [][]string{
				{"import", "-f", "raw", "--name", "new", base.disks[1]}, {"export", "kept", "OUT"}, {"gc"}, {"scrub", "--repair", "--full"},
			} {
				met, runs := true, 0
				for n := 1 + max(0, 1-skip)*5*(i+1); met && (runs == 0 || skip == 1); n += skip {
					f := base.copy(t, filepath.Join(t.TempDir(), fmt.Sprint(i, "-", n)))
					met = f.strike(t, fmt.Sprintf("shard=%d n=%d %s", n%3, n, c.spec), act)
					if err := os.RemoveAll(f.dir); err != nil {
						t.Fatal(err)
					}
					runs++
				}
				t.Logf("%s: %d runs", act[0], runs)
			}
		})
	}
}

// faulty is a store of 2+1 shards with an image that is kept, and the leftovers of
// one that was removed.
type faulty struct {
	dir, exe string
	disks    []string
}

func newFaulty(t *testing.T, dir string) *faulty {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{dir: dir, exe: exe}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		f.disks = append(f.disks, filepath.Join(filepath.Dir(dir), fmt.Sprintf("disk%d", i)))
		if err := writeDisk(f.disks[i], uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"init", "--data", "2", "--parity", "1", "--allow-shared-device"}
	for i := range 3 {
		args = append(args, "--shard", filepath.Join(f.store(), fmt.Sprintf("shard%d", i)))
	}
	f.must(t, args...)
	f.must(t, "import", "-f", "raw", "--name", "gone", f.disks[1])
	f.must(t, "import", "-f", "raw", "--name", "kept", f.disks[0])
	f.must(t, "rm", "gone")
	return f
}

func (f *faulty) store() string { return filepath.Join(f.dir, "S") }

func (f *faulty) copy(t *testing.T, dir string) *faulty {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(f.dir)); err != nil {
		t.Fatal(err)
	}
	return &faulty{dir: dir, exe: f.exe, disks: f.disks}
}

// run runs a command of the store with faults, and gives what it wrote to stderr.
func (f *faulty) run(t *testing.T, faults string, args ...string) (stderr string, err error) {
	t.Helper()
	args = append([]string{"store", args[0], "--store", f.store()}, args[1:]...)
	cmd := exec.CommandContext(t.Context(), f.exe, args...)
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

// strike runs a command while a fault is there and looks at what it left. It says
// whether the fault was met.
func (f *faulty) strike(t *testing.T, faults string, act []string) (met bool) {
	t.Helper()
	out := filepath.Join(f.dir, "out")
	args := append([]string(nil), act...)
	if args[len(args)-1] == "OUT" {
		args[len(args)-1] = out
	}
	stderr, err := f.run(t, faults, args...)
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err != nil && (!exited || exit.ExitCode() < 1 || exit.ExitCode() > 4) || strings.Contains(stderr, "goroutine "):
		t.Fatalf("%s, %s: %v: %s", act[0], faults, err, stderr)
	case err == nil && act[0] == "export":
		wantSame(t, act[0]+", "+faults, out, f.disks[0])
	}
	f.must(t, "heal")
	f.must(t, "scrub", "--repair", "--full")
	f.must(t, "check")
	f.must(t, "export", "kept", out)
	wantSame(t, act[0]+", "+faults, out, f.disks[0])
	if act[0] == "import" && err == nil {
		f.must(t, "export", "new", out)
		wantSame(t, "import, "+faults, out, f.disks[1])
	}
	return strings.Contains(stderr, injected)
}

func wantSame(t *testing.T, what, path, disk string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: the image has other bytes", what)
	}
}
