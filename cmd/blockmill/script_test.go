package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary the program itself when a script runs it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"blockmill": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", env.Getenv("PATH")+string(os.PathListSeparator)+"/usr/sbin")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": statusCommand,
			"disk":   diskCommand,
			"poke":   pokeCommand,
			"damage": damageCommand,
		},
	})
}

// statusCommand is "status N COMMAND…": the command exits with N, and says why
// in one line of stderr when N is neither 0 nor an answer.
func statusCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND…")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
	lines := ts.ReadFile("stderr")
	if got <= 1 && lines == "" {
		return
	}
	if got == 0 || !strings.HasPrefix(lines, "blockmill: ") || strings.Count(lines, "\n") != 1 || !strings.HasSuffix(lines, "\n") {
		ts.Fatalf("stderr is not one line of the program's: %q", lines)
	}
}

// diskCommand is "disk FILE SEED": a sparse raw disk of 18 MiB and a bit, of
// which some blocks hold random bytes, some text, some zeros that are written.
func diskCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: disk FILE SEED")
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	ts.Check(writeDisk(ts.MkAbs(args[0]), seed))
}

const diskSize = 18<<20 + 5*512

func writeDisk(path string, seed uint64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(diskSize); err != nil {
		return err
	}
	random := rand.NewChaCha8([32]byte{byte(seed)})
	block := make([]byte, 40<<10)
	for off := int64(0); off < diskSize; off += 256 << 10 {
		switch random.Uint64() % 4 {
		case 0:
			_, _ = random.Read(block) // never fails
		case 1:
			copy(block, strings.Repeat("all work and no play ", len(block)/21))
		case 2:
			clear(block)
		case 3:
			continue
		}
		if _, err := f.WriteAt(block[:min(int64(len(block)), diskSize-off)], off); err != nil {
			return err
		}
	}
	return f.Close()
}

// pokeCommand is "poke FILE OFFSET BYTES": overwrites bytes of a file.
func pokeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: poke FILE OFFSET BYTES")
	}
	off, err := strconv.ParseInt(args[1], 0, 64)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	defer f.Close()
	_, err = f.WriteAt([]byte(args[2]), off)
	ts.Check(err)
}

// damageCommand is "damage DIR": changes a byte in the middle of every file.
func damageCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage DIR")
	}
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	for _, name := range files {
		p, err := os.ReadFile(name)
		ts.Check(err)
		p[len(p)/2] ^= 0x40
		ts.Check(os.WriteFile(name, p, 0))
	}
}
