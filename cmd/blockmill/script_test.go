package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", env.Getenv("PATH")+string(os.PathListSeparator)+"/usr/sbin")
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			// In CI nothing is skipped for want of it.
			return os.Geteuid() == 0 || os.Getenv("CI") == "true", nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status":     statusCommand,
			"disk":       diskCommand,
			"random":     randomCommand,
			"poke":       pokeCommand,
			"damage":     damageCommand,
			"flip":       flipCommand,
			"tmpfs":      tmpfsCommand,
			"loop":       loopCommand,
			"daemon":     daemonCommand,
			"waitsocket": waitSocketCommand,
			"serve":      serveURLCommand,
			"twin":       twinCommand,
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

// randomCommand is "random FILE N": N MiB of random bytes, others for each name.
func randomCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: random FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var seed [32]byte
	copy(seed[:], args[0])
	p := make([]byte, n<<20)
	_, _ = rand.NewChaCha8(seed).Read(p) // never fails
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), p, 0o644))
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

// twinCommand is "twin FILE": makes the second guest cluster of a qcow2 stand where
// the first does.
func twinCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: twin FILE")
	}
	p, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	l1 := binary.BigEndian.Uint64(p[40:])
	l2 := binary.BigEndian.Uint64(p[l1:]) & 0x00ff_ffff_ffff_fe00
	copy(p[l2+8:l2+16], p[l2:l2+8])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), p, 0))
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

// flipCommand is "flip DIR N SEED": turns over a bit of N random bytes in the
// files of a shard, its identity excepted.
func flipCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: flip DIR N SEED")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	seed, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "[mrs]*", "*"))
	ts.Check(err)
	files = slices.DeleteFunc(files, func(name string) bool { return filepath.Base(name) == "shard" })
	random := rand.New(rand.NewPCG(seed, 0))
	for range n {
		name := files[random.IntN(len(files))]
		p, err := os.ReadFile(name)
		ts.Check(err)
		p[random.IntN(len(p))] ^= 1 << random.IntN(8)
		ts.Check(os.WriteFile(name, p, 0))
	}
}

// tmpfsCommand is "tmpfs DIR SIZE": mounts a file system of its own, of so many
// MiB, until the script ends. It takes root; see the condition "root".
func tmpfsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tmpfs DIR SIZE")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]+"m"))
	ts.Defer(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			ts.Logf("unmount: %v", err)
		}
	})
}

// loopCommand is "loop NAME FILE": makes NAME a link to a block device over
// the file, until the script ends. It takes root.
func loopCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: loop NAME FILE")
	}
	out, err := exec.Command("losetup", "--find", "--show", ts.MkAbs(args[1])).Output()
	ts.Check(err)
	dev := strings.TrimSpace(string(out))
	ts.Defer(func() {
		_ = exec.Command("umount", "--quiet", "--all-targets", dev).Run() // if it is mounted
		if err := exec.Command("losetup", "--detach", dev).Run(); err != nil {
			ts.Logf("detach %s: %v", dev, err)
		}
	})
	ts.Check(os.Symlink(dev, ts.MkAbs(args[0])))
}
